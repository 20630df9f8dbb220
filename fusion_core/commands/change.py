"""`change`: the smallest change of each modality that flips the answer."""

from __future__ import annotations

import argparse

from fusion_core.commands.flags import Verbs, emit, model_flags, open_model, record_of, say, verb


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    change = verb(verbs, "change", run_change, "find the smallest change of each modality that flips the answer")
    model_flags(change)
    change.add_argument("--id", required=True)
    change.add_argument("--strategy", default="", metavar="NAME|all")
    change.add_argument("--kind", default="all", metavar="NAME|all", help="what to change (default: all there is)")
    change.add_argument("--seed", type=int, default=0, help="of the noise and of the typos")


def run_change(given: argparse.Namespace) -> int:
    """Change one record more and more until each strategy answers otherwise."""
    from fusion_core.change import smallest_changes
    from fusion_core.errors import RecordError
    from fusion_core.lines import change_line, predict_line
    from fusion_core.model import chosen_strategies
    from fusion_core.types import Failure

    model = open_model(given)
    strategies = chosen_strategies(model, given.strategy)
    record = record_of(given)
    if record is None:
        return 3
    try:
        found = smallest_changes(model, record, strategies, given.kind, given.seed, _progress)
    except RecordError as error:
        emit(predict_line(Failure(record.id, None, error.code, str(error))))
        return 3
    for change in found:
        emit(change_line(record.id, change))
    return 0


def _progress(done: int, planned: int) -> None:
    say(f"kinds of change {done}/{planned}")
