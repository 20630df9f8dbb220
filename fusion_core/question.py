"""What may be asked about an answer, and its attribution to tokens by the method that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from fusion_core.attribute import Problem, Scores, at_fusion, at_input, method
from fusion_core.errors import CallError
from fusion_core.model import FusedModel
from fusion_core.types import Attribution, Inputs, Seam, Tokens

DEFAULT_METHOD = "integrated_gradients"
#: Methods by gradient do not work on pixels; there this one stands in.
BY_GRADIENT = ("integrated_gradients", "gradient_shap", "input_x_gradient", "smooth_grad")
STAND_IN = "occlusion"
ALL = "all"
Report = Callable[[int, int, tuple[Attribution, ...]], None]


@dataclass(frozen=True)
class Question:
    """What to explain and how; `target` None means each strategy's own answer, `also` names further classes.

    against: a class to contrast the target with, in attributions. report: told passes done, passes planned, and an
    attribution's parts known so far; whoever raises in it ends the attribution. judge: also test whether maps are true.
    randomise: also compare them with the maps of heads of random weights.
    """

    method: str | None = DEFAULT_METHOD
    seam: Seam = "fusion"
    target: str | None = None
    also: tuple[str, ...] = ()
    policy: str = "marginal"
    seed: int = 0
    against: str | None = None
    report: Report | None = None
    judge: bool = False
    randomise: bool = False


def attribute(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: str,
    question: Question,
) -> tuple[Attribution, ...]:
    """Attribute one class to tokens.

    At the input seam gradients stop at the image: pixel gradients through the network do not converge, so images are
    occluded cell by cell there. Raises CallError for a class the model does not have, or a method that does not work
    at this seam or on what the record has.
    """
    for name in (target, question.against):
        if name is not None and name not in model.classes:
            raise CallError(f"unknown target class {name!r}; the model has {', '.join(model.classes)}")
    if question.against == target:
        raise CallError(f"{target!r} cannot be contrasted with itself; name another class")
    if question.method is None:
        return ()
    if question.method == ALL:
        each = [replace(question, method=name) for name in method]
        working = [one for one in each if _works(model, inputs, tokens, strategy, target, one)]
        return tuple(a for one in working for a in attribute(model, inputs, tokens, strategy, target, one))
    posed = problems(model, inputs, tokens, strategy, target, question)
    return tuple(_attribution(name, target, problem, question) for name, problem in posed)


def is_heavy(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str) -> bool:
    """Return whether explaining an answer of a strategy is a matter of minutes, by what a gradient of it takes."""
    return at_fusion(model, tokens, strategy, 0).heavy


def _works(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: str,
    question: Question,
) -> bool:
    try:
        return bool(problems(model, inputs, tokens, strategy, target, question))
    except CallError:
        return False


def problems(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: str,
    question: Question,
) -> list[tuple[str, Problem]]:
    """Return what a question comes to: methods and the problems they are to solve.

    Raises CallError for a method that does not work at this seam or on what the record has.
    """
    assert question.method is not None
    asked = method[question.method]
    number = model.classes.index(target)
    against = None if question.against is None else model.classes.index(question.against)
    if question.seam == "fusion":
        posed = [(question.method, at_fusion(model, tokens, strategy, number, against, question.seed))]
    else:
        split: dict[str, list[str]] = {}
        for m in inputs.axes(0):
            chosen = STAND_IN if m == "image" and question.method in BY_GRADIENT else question.method
            split.setdefault(chosen, []).append(m)
        posed = [
            (name, at_input(model, inputs, tokens, strategy, number, tuple(explained), against, question.seed))
            for name, explained in split.items()
        ]
    if not all(method[name].works(problem) for name, problem in posed):
        where = " and ".join(f"{seam} seam" for seam in asked.seams)
        what = f" and explains {', '.join(asked.only)} only" if asked.only else ""
        raise CallError(f"{question.method} works at the {where}{what}; the record has {', '.join(inputs.axes(0))}")
    return posed


def _attribution(name: str, target: str, problem: Problem, question: Question) -> Attribution:
    def made(found: Scores) -> Attribution:
        return Attribution(
            method=name,
            seam=problem.seam,
            target=target,
            scores=_arrays(found.tokens),
            baseline=problem.baseline_name,
            delta=found.delta,
            error=found.error,
            evaluations=found.evaluations,
            against=question.against,
            spread=_arrays(found.spread) if found.spread else None,
            done=found.done,
        )

    def heard(done: int, planned: int, partly: Scores | None) -> None:
        if question.report is not None:
            question.report(done, planned, (made(partly),) if partly else ())

    return made(method[name].run(replace(problem, report=heard)))


def _arrays(tokens: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {m: value.detach().double().numpy() for m, value in tokens.items()}
