"""`trace`: explain one record."""

from __future__ import annotations

import argparse

from fusion_core.commands.flags import (
    Verbs,
    emit,
    model_flags,
    open_model,
    question_flags,
    question_of,
    record_of,
    verb,
)


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    trace = verb(verbs, "trace", run_trace, "explain one record")
    model_flags(trace)
    trace.add_argument("--id", required=True)
    trace.add_argument("--strategy", default="", metavar="NAME|all")
    question_flags(trace)
    trace.add_argument("--randomise", action="store_true", help="compare maps with those of heads of random weights")
    trace.add_argument("--full", action="store_true", help="with attention weights")


def run_trace(given: argparse.Namespace) -> int:
    """Explain one record under one or all strategies."""
    from fusion_core.errors import RecordError
    from fusion_core.lines import predict_line, trace_line
    from fusion_core.model import chosen_strategies
    from fusion_core.trace import trace_record
    from fusion_core.types import Failure

    model = open_model(given)
    question = question_of(given, given.randomise)
    strategies = chosen_strategies(model, given.strategy)
    record = record_of(given)
    if record is None:
        return 3
    try:
        found = trace_record(model, record, strategies, question)
    except RecordError as error:
        emit(predict_line(Failure(record.id, None, error.code, str(error))))
        return 3
    for trace in found:
        emit(predict_line(trace) if isinstance(trace, Failure) else trace_line(trace, given.full))
    return 3 if any(isinstance(trace, Failure) for trace in found) else 0
