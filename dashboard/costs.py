"""What it costs to explain an answer on the screen, in passes and seconds: what is slow is offered, not begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from dashboard.explaining import SEAMS, Wanted
from dashboard.inspection import Inspection
from dashboard.views.labels import say
from fusion_core.attribute import method
from fusion_core.errors import CallError
from fusion_core.model import FusedModel
from fusion_core.question import BY_GRADIENT, Question, attribute, problems
from fusion_core.verify.faithfulness import most_passes

Json = dict[str, Any]
USUAL_SLOPE = 3.0  # passes that a gradient takes: there, and back through every layer twice


@dataclass(frozen=True)
class Costs:
    """methods: every attribution method with its cost per seam. tests: what testing a map costs, per heavy strategy."""

    methods: tuple[Json, ...] = ()
    tests: dict[str, Json] = field(default_factory=dict)

    def of(self, wanted: Wanted) -> Json | None:
        """Return what an attribution is said to take; None where its method does not work."""
        offered = next((one for one in self.methods if one["name"] == wanted.method), None)
        if offered is None:
            return None
        spent: Json | None = offered["heavy"].get(wanted.strategy, offered["cost"]).get(wanted.seam)
        return spent


def costs(model: FusedModel, found: Inspection) -> Costs:
    """Return what can be asked for about this record and what it costs.

    Seconds are the passes times what one pass takes here under the first strategy that is not heavy. Each heavy one has
    costs of its own, of which a gradient is timed too.
    """
    light = [trace.strategy for trace in found.traces if trace.strategy not in found.heavy]
    timed = [*light[:1], *(trace.strategy for trace in found.traces if trace.strategy in found.heavy)]
    pace = {name: _pace(partial(model.fuse, found.tokens, name)) for name in timed}
    each = {name: _costs(model, found, name, pace[name]) for name in timed}
    offered = tuple(
        {
            "name": name,
            "label": say(name),
            "sentence": about.sentence,
            "cost": each[timed[0]][name],
            "heavy": {strategy: each[strategy][name] for strategy in timed if strategy in found.heavy},
        }
        for name, about in method.items()
    )
    return Costs(offered, {name: _test(model, found, name, pace[name]) for name in timed if name in found.heavy})


def _test(model: FusedModel, found: Inspection, strategy: str, pace: float) -> Json:
    """Return what testing a map of a strategy takes: tokens taken out, all modalities together."""
    passes = most_passes(sum(int(found.tokens[m].mask.sum()) for m in model.head(strategy).modalities))
    return {"passes": passes, "seconds": round(passes * pace, 2)}


def _costs(model: FusedModel, found: Inspection, strategy: str, fusing: float) -> dict[str, Json]:
    """Return the cost of every method under a strategy, per seam; heavy: whether it is so much that nobody waits."""
    whole = _pace(lambda: model.fuse(model.encode(found.inputs), strategy))
    pace = {"fusion": fusing, "input": whole}
    slope = _gradient_seconds(model, found, strategy) / fusing if strategy in found.heavy else USUAL_SLOPE
    each: dict[str, Json] = {}
    for name in method:
        each[name] = {}
        for seam in SEAMS:
            with suppress(CallError):  # it does not work there
                question = Question(method=name, seam=seam)
                posed = problems(model, found.inputs, found.tokens, strategy, model.classes[0], question)
                passes = [method[chosen].passes(problem) for chosen, problem in posed]
                steep = [slope if problem.heavy and chosen in BY_GRADIENT else 1.0 for chosen, problem in posed]
                spent = sum(n * each_pass for n, each_pass in zip(passes, steep, strict=True)) * pace[seam]
                each[name][seam] = {
                    "passes": sum(passes),
                    "seconds": round(spent, 2),
                    "heavy": any(problem.heavy for _, problem in posed),
                }
    return each


def _pace(run: Callable[[], object]) -> float:
    """Return the seconds of one pass: the shorter of two."""
    spent = []
    for _ in range(2):
        started = time.perf_counter()
        with torch.no_grad():
            run()
        spent.append(time.perf_counter() - started)
    return min(spent)


def _gradient_seconds(model: FusedModel, found: Inspection, strategy: str) -> float:
    """Return the seconds of one gradient at the fusion seam."""
    started = time.perf_counter()
    attribute(model, found.inputs, found.tokens, strategy, model.classes[0], Question(method="input_x_gradient"))
    return time.perf_counter() - started
