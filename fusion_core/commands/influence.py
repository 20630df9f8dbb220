"""`influence`: the training records that pushed an answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from fusion_core.commands.flags import Verbs, emit, model_flags, open_model, record_of, say, verb
from fusion_core.errors import CallError

LEARNED = "only a strategy that was fitted here, and is above chance, was pushed by training records"


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    influence = verb(verbs, "influence", run_influence, "find the training records that pushed the answer")
    model_flags(influence)
    influence.add_argument("--id", required=True)
    influence.add_argument("--training", required=True, type=Path, metavar="DIR", help="records it was fitted on")
    influence.add_argument("--strategy", default="", metavar="NAME|all")
    influence.add_argument("--target", metavar="CLASS", help="class pushed towards (default: own answer)")
    influence.add_argument("--most", type=int, default=5, metavar="N", help="records on each side")
    influence.add_argument("--save", action="store_true", help="keep what was worked out of --training beside it")


def run_influence(given: argparse.Namespace) -> int:
    """Name the records that pushed one record's answer, and those that pushed against it."""
    from fusion_core.errors import RecordError
    from fusion_core.influence import build_influence, influential, load_influence, save_influence, trained
    from fusion_core.lines import influence_line, predict_line
    from fusion_core.model import chosen_strategies
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

    model = open_model(given)
    chosen = chosen_strategies(model, given.strategy)
    strategies = [s for s in chosen if s in trained(model)]
    if not strategies:
        raise CallError(f"of {', '.join(chosen)} it is not known what was learned from which record: {LEARNED}")
    record = record_of(given)
    if record is None:
        return 3
    index = load_influence(given.model, given.training)
    if index is None:
        index = build_influence(model, read(given.training).records, _progress)
        if given.save:
            save_influence(index, given.model, given.training)
    try:
        _, tokens = model.encode_record(record)
    except RecordError as error:
        emit(predict_line(Failure(record.id, None, error.code, str(error))))
        return 3
    for strategy in strategies:
        found = influential(model, index, tokens, strategy, given.target, given.most)
        emit(influence_line(record.id, found))
    return 0


def _progress(what: str, done: int, total: int) -> None:
    say(f"{what} {done}/{total}")
