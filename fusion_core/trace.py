"""The one orchestration: from a record to everything there is to say about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from fusion_core.attend.raw import attention_maps
from fusion_core.attention import capture
from fusion_core.attribute import Problem, Scores, at_fusion, at_input, method
from fusion_core.contribute.ledger import measure
from fusion_core.errors import CallError, RecordError
from fusion_core.model import FusedModel
from fusion_core.types import Attribution, Check, Cost, Failure, Inputs, Prediction, Record, Seam, Tokens, Trace
from fusion_core.verify.sums import completeness, efficiency
from fusion_core.verify.uniform import uniform_replacement

DEFAULT_METHOD = "integrated_gradients"


@dataclass(frozen=True)
class Question:
    """What to explain and how; `target` None means each strategy's own answer, `also` names further classes."""

    method: str | None = DEFAULT_METHOD
    seam: Seam = "fusion"
    target: str | None = None
    also: tuple[str, ...] = ()
    policy: str = "marginal"
    seed: int = 0


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
    attributions = tuple(
        found
        for name in dict.fromkeys((target, *question.also))
        for found in attribute(model, inputs, tokens, strategy, name, question)
    )
    ledgers = {name: table.ledger(name) for name in model.classes}
    own = [a for a in attributions if a.target == target]
    checks: list[Check | None] = [efficiency(ledgers[target]), *(completeness(a) for a in own)]
    if maps:
        checks.append(uniform_replacement(model, tokens, strategy, scale))
    forwards = 1 + table.evaluations + sum(a.evaluations for a in attributions) + (2 if maps else 0)
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
    )


def attribute(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: str,
    question: Question,
) -> tuple[Attribution, ...]:
    """Attribute one class to tokens; raises CallError for a class the model does not have.

    At the input seam gradients stop at the image: pixel gradients through the network do not converge, so images are
    occluded cell by cell there.
    """
    if target not in model.classes:
        raise CallError(f"unknown target class {target!r}; the model has {', '.join(model.classes)}")
    if question.method is None:
        return ()
    scale = model.logit_range(strategy)
    number = model.classes.index(target)
    if question.seam == "fusion":
        posed = [(question.method, at_fusion(model, tokens, strategy, number, scale))]
    else:
        split: dict[str, list[str]] = {}
        for m in inputs.axes(0):
            chosen = "occlusion" if m == "image" and question.method == DEFAULT_METHOD else question.method
            split.setdefault(chosen, []).append(m)
        posed = [
            (name, at_input(model, inputs, tokens, strategy, number, scale, tuple(explained)))
            for name, explained in split.items()
        ]
    return tuple(_attribution(name, question.seam, target, problem) for name, problem in posed)


def _attribution(name: str, seam: Seam, target: str, problem: Problem) -> Attribution:
    found: Scores = method[name](problem)
    scores = {m: value.detach().double().numpy() for m, value in found.tokens.items()}
    return Attribution(name, seam, target, scores, problem.baseline_name, found.delta, found.error, found.evaluations)
