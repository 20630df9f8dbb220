"""The one orchestration: from a record to everything there is to say about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fusion_core.attend import attention_scores
from fusion_core.attend.gates import gate_checks
from fusion_core.attend.raw import attention_maps
from fusion_core.attention import capture
from fusion_core.attribute import Problem, Scores, at_fusion, at_input, method
from fusion_core.contribute.ledger import measure
from fusion_core.errors import CallError, RecordError
from fusion_core.model import FusedModel
from fusion_core.types import Attribution, Check, Cost, Failure, Inputs, Prediction, Record, Seam, Tokens, Trace
from fusion_core.verify.faithfulness import judge, removal_table
from fusion_core.verify.sums import completeness, efficiency
from fusion_core.verify.uniform import uniform_replacement

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


def trace_record(
    model: FusedModel, record: Record, strategies: Sequence[str], question: Question | None = None
) -> list[Trace | Failure]:
    """Trace one record under each strategy, encoding it once.

    Raises RecordError when the record cannot be read or has nothing the model reads, CallError for unknown names.
    """
    question = question or Question()
    inputs, tokens = model.encode_record(record)
    return trace_strategies(model, record, inputs, tokens, strategies, question)


def trace_strategies(
    model: FusedModel,
    record: Record,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategies: Sequence[str],
    question: Question,
) -> list[Trace | Failure]:
    """Trace an encoded record under each strategy; one that answers with NaN gives a failure and no more."""
    found: list[Trace | Failure] = []
    for strategy in strategies:
        try:
            found.append(trace_prepared(model, record, inputs, tokens, strategy, question))
        except RecordError as error:
            found.append(Failure(record.id, strategy, error.code, str(error)))
    return found


def trace_prepared(
    model: FusedModel,
    record: Record,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    question: Question,
) -> Trace:
    """Trace an encoded record under one strategy; raises RecordError (`nonfinite_output`) on NaN logits."""
    started = time.perf_counter()
    with torch.no_grad(), capture() as tape:
        logits = model.fuse(tokens, strategy)
    if not bool(torch.isfinite(logits).all()):
        raise RecordError(f"{strategy} answered with NaN or infinity", "nonfinite_output", record.id)
    prediction = Prediction(logits[0].double().softmax(0).numpy(), model.classes, record.label)
    target = question.target or prediction.top
    table = measure(model, tokens, strategy, question.policy, question.seed)
    scale = model.logit_range(strategy)
    maps = attention_maps(tape, inputs.axes(0))
    attends = any(m.kind == "attention" for m in maps)
    scores = attention_scores(model, tokens, strategy, model.classes.index(target)) if attends else ()
    attributions = tuple(
        found
        for name in dict.fromkeys((target, *question.also))
        for found in attribute(model, inputs, tokens, strategy, name, question)
    )
    if question.judge:
        removals = removal_table(model, tokens, strategy, model.classes.index(target), question.seed)
        scores = tuple(replace(s, faithfulness=judge(removals, s.scores)) for s in scores)
        attributions = tuple(
            replace(a, faithfulness=judge(removals, a.scores)) if a.target == target else a for a in attributions
        )
    ledgers = {name: table.ledger(name) for name in model.classes}
    own = [a for a in attributions if a.target == target]
    checks: list[Check | None] = [efficiency(ledgers[target]), *(completeness(a) for a in own)]
    if attends:
        checks.append(uniform_replacement(model, tokens, strategy, scale))
    checks.extend(gate_checks(maps))
    forwards = 1 + table.evaluations + sum(a.evaluations for a in attributions) + (2 if attends else 0)
    return Trace(
        record=record,
        strategy=strategy,
        status=model.fitted[strategy].status,
        target=target,
        prediction=prediction,
        axes=inputs.axes(0),
        attention=maps,
        attributions=attributions,
        ledgers=ledgers,
        checks=tuple(c for c in checks if c is not None),
        notes=inputs.notes[0],
        cost=Cost(forwards, time.perf_counter() - started),
        scores=scores,
    )


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
