"""`predict`: answer every record."""

from __future__ import annotations

import argparse

from fusion_core.commands.flags import Verbs, emit, model_flags, open_model, verb


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    predict = verb(verbs, "predict", run_predict, "answer every record")
    model_flags(predict)
    predict.add_argument("--strategy", default="", metavar="NAME|all")


def run_predict(given: argparse.Namespace) -> int:
    """Answer every record, in order."""
    from fusion_core.answers import answer_rows
    from fusion_core.lines import predict_line
    from fusion_core.model import chosen_strategies
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

    model = open_model(given)
    strategies = chosen_strategies(model, given.strategy)
    failed = False
    for answer in answer_rows(model, read(given.records).rows, strategies):
        failed = failed or isinstance(answer, Failure)
        emit(predict_line(answer))
    return 3 if failed else 0
