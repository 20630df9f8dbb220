"""What it costs to explain an answer on the screen, in passes and seconds: what is slow is offered, not begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Costs:
    """methods: every attribution method with its cost per seam. tests: what testing a map costs, per heavy strategy."""

    methods: tuple[Json, ...] = ()
    tests: dict[str, Json] = field(default_factory=dict)

    def seconds(self, wanted: Wanted) -> float | None:
        """Return what an attribution is said to take; None where its method does not work."""
        offered = next((one for one in self.methods if one["name"] == wanted.method), None)
        if offered is None:
            return None
        spent = offered["heavy"].get(wanted.strategy, offered["cost"]).get(wanted.seam)
        return None if spent is None else float(spent["seconds"])


def costs(model: FusedModel, found: Inspection) -> Costs:
    """Return what can be asked for about this record and what it costs.

    Seconds are the passes times what one pass takes here under the first strategy that is not heavy. Each heavy one has
    costs of its own, of which a gradient is timed too.
    """
    light = [trace.strategy for trace in found.traces if trace.strategy not in found.heavy]
    heavy = {t.strategy: _costs(model, found, t.strategy) for t in found.traces if t.strategy in found.heavy}
    usual = _costs(model, found, light[0]) if light else next(iter(heavy.values()))
    offered = tuple(
        {
            "name": name,
            "label": say(name),
            "sentence": about.sentence,
            "cost": usual[name],
            "heavy": {strategy: own[name] for strategy, own in heavy.items()},
        }
        for name, about in method.items()
    )
    return Costs(offered, {strategy: _test(model, found, strategy) for strategy in heavy})


def _test(model: FusedModel, found: Inspection, strategy: str) -> Json:
    """Return what testing a map of a strategy takes: tokens taken out, all modalities together."""
    passes = most_passes(sum(int(found.tokens[m].mask.sum()) for m in model.head(strategy).modalities))
    pace = _pace(lambda: model.fuse(found.tokens, strategy))
    return {"passes": passes, "seconds": round(passes * pace, 2)}


def _costs(model: FusedModel, found: Inspection, strategy: str) -> dict[str, Json]:
    """Return the cost of every method under a strategy, per seam."""
    fusing = _pace(lambda: model.fuse(found.tokens, strategy))
    pace = {"fusion": fusing, "input": _pace(lambda: model.fuse(model.encode(found.inputs), strategy))}
    slope = _slope(model, found, strategy) / fusing if strategy in found.heavy else 1.0
    costs: dict[str, Json] = {}
    for name in method:
        costs[name] = {}
        for seam in SEAMS:
            with suppress(CallError):  # it does not work there
                question = Question(method=name, seam=seam)
                posed = problems(model, found.inputs, found.tokens, strategy, model.classes[0], question)
                planned = [(method[chosen].passes(problem), chosen in BY_GRADIENT) for chosen, problem in posed]
                spent = sum(passes * (slope if steep else 1.0) for passes, steep in planned) * pace[seam]
                costs[name][seam] = {"passes": sum(passes for passes, _ in planned), "seconds": round(spent, 2)}
    return costs


def _pace(run: Callable[[], object]) -> float:
    """Return the seconds of one pass: the shorter of two."""
    spent = []
    for _ in range(2):
        started = time.perf_counter()
        with torch.no_grad():
            run()
        spent.append(time.perf_counter() - started)
    return min(spent)


def _slope(model: FusedModel, found: Inspection, strategy: str) -> float:
    """Return the seconds of one gradient at the fusion seam."""
    started = time.perf_counter()
    attribute(model, found.inputs, found.tokens, strategy, model.classes[0], Question(method="input_x_gradient"))
    return time.perf_counter() - started
