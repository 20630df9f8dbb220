"""The one orchestration: from a record to everything there is to say about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from fusion_core.attend import attention_scores
from fusion_core.attend.gates import gate_checks
from fusion_core.attend.raw import attention_maps
from fusion_core.attention import capture
from fusion_core.contribute.ledger import measure
from fusion_core.errors import RecordError
from fusion_core.model import FusedModel
from fusion_core.question import Question, attribute
from fusion_core.random_heads import attribution_check, view_check
from fusion_core.types import Check, Cost, Failure, Inputs, Prediction, Record, Tokens, Trace
from fusion_core.verify.faithfulness import judge, removal_table
from fusion_core.verify.parity import doubted, parity
from fusion_core.verify.sums import completeness, efficiency
from fusion_core.verify.uniform import uniform_replacement


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
    with torch.no_grad():
        free_answer = model.head(strategy).free_answer(tokens)
    if not bool(torch.isfinite(logits).all()):
        raise RecordError(f"{strategy} answered with NaN or infinity", "nonfinite_output", record.id)
    prediction = Prediction(logits[0].double().softmax(0).numpy(), model.classes, record.label)
    target = question.target or prediction.top
    table = measure(model, tokens, strategy, question.policy, question.seed)
    scale = model.logit_range(strategy)
    maps = attention_maps(tape, inputs.axes(0), model.head(strategy).readout)
    attends = any(m.kind == "attention" for m in maps)
    attributions = tuple(
        found
        for name in dict.fromkeys((target, *question.also))
        for found in attribute(model, inputs, tokens, strategy, name, question)
    )
    scores = attention_scores(model, tokens, strategy, model.classes.index(target)) if attends else ()
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
        if (two_ways := parity(model, tokens, strategy)) is not None:
            checks.append(two_ways)
            scores = tuple(
                replace(view, faithfulness=doubted(view.faithfulness, view.method, (two_ways,))) for view in scores
            )
    checks.extend(gate_checks(maps))
    if question.randomise:
        checks.extend(view_check(model, tokens, strategy, view) for view in scores)
        near = [a for a in own if a.seam == "fusion"]
        checks.extend(attribution_check(model, inputs, tokens, strategy, a, question.seed) for a in near)
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
        free_answer=free_answer,
    )
