"""`keep`: put a log's small parts together, drop what is old, or take records out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fusion_core.commands.flags import Verbs, emit, log_flags, verb
from fusion_core.errors import CallError

if TYPE_CHECKING:
    from fusion_core.log.upkeep import Kept

MOST_DAYS = 100_000


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    keep = verb(verbs, "keep", run_keep, "put a log's small parts together, drop what is old, or take records out")
    log_flags(keep, "default: every run")
    what = keep.add_mutually_exclusive_group(required=True)
    what.add_argument("--compact", action="store_true", help="put small parts together")
    what.add_argument("--retain", type=float, metavar="DAYS", help="drop rows older than this, and their media")
    what.add_argument("--erase", nargs="+", metavar="ID", help="take records out of every run, with their media")


def run_keep(given: argparse.Namespace) -> int:
    """Look after a log; the last line says what was done. 3: parts that are damaged may hold what was to go."""
    from fusion_core.log.runs import runs
    from fusion_core.log.upkeep import compact, erase, retain

    if not runs(given.log):
        raise CallError(f"log {given.log.name!r} has no run")
    names = (given.run_name,) if given.run_name else runs(given.log)
    if given.erase:
        if given.run_name:
            raise CallError("--erase takes a record out of every run; leave --run away")
        return _say("erase", runs(given.log), [erase(given.log, *given.erase)])
    if given.compact:
        return _say("compact", names, [compact(given.log, name) for name in names])
    if not 0 < given.retain <= MOST_DAYS:
        raise CallError(f"--retain {given.retain:g}: give more than 0 and at most {MOST_DAYS:,} days")
    before = datetime.now(UTC) - timedelta(days=given.retain)
    return _say("retain", names, [retain(given.log, name, before) for name in names])


def _say(done: str, names: Sequence[str], kept: Sequence[Kept]) -> int:
    damaged = [f"{found.part.file} of run {run}: {found.reason}" for one in kept for run, found in one.damaged]
    emit(
        {
            "kind": "keep",
            "done": done,
            "runs": list(names),
            "parts_before": sum(one.parts_before for one in kept),
            "parts_after": sum(one.parts_after for one in kept),
            "rows_removed": sum(one.rows_removed for one in kept),
            "media_removed": sum(len(one.media_removed) for one in kept),
            "damaged": damaged,
            "notes": [note for one in kept for note in one.notes],
        }
    )
    return 3 if damaged else 0
