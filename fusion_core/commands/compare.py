"""`compare`: measure every strategy on a record set, whole, damaged and with modalities missing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusion_core.commands.flags import Verbs, asked_of, emit, model_flags, open_model, say, verb
from fusion_core.errors import CallError


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    compare = verb(verbs, "compare", run_compare, "measure every strategy on a record set, whole and damaged")
    model_flags(compare)
    compare.add_argument("--baseline", default="", metavar="NAME", help="default: the original, else late")
    compare.add_argument("--faults", default="all", metavar="all|none|a,b", help="kinds, as those of inject")
    compare.add_argument("--severities", default="1,3,5", metavar="1,3,5")
    compare.add_argument("--out", type=Path, metavar="FOLDER",
                         help="keep every piece there, to go on from, and the result")  # fmt: skip
    compare.add_argument("--seed", type=int, default=0)


def run_compare(given: argparse.Namespace) -> int:
    """Compare, then print a line per row that could not be read, per strategy, and the verdict."""
    from fusion_core.compare.lines import strategy_line, verdict_line
    from fusion_core.compare.plan import Settings, piece_key
    from fusion_core.compare.run import Comparing
    from fusion_core.compare.store import Store
    from fusion_core.reading.records import read

    if given.seed < 0:
        raise CallError(f"--seed {given.seed}; allowed are 0 and above")
    settings = Settings(given.baseline, given.faults, _severities(given.severities), given.seed)
    model, rows = open_model(given), read(given.records).rows
    store = Store(given.out / "pieces", piece_key(given.model, rows, settings, asked_of(given))) if given.out else None
    name = given.records.resolve().name
    comparing = Comparing(model, rows, settings, store, name, _within())
    found, tell = None, _progress()
    for found in comparing:
        tell(found)
    assert found is not None
    if given.out:
        _write(found, given)
    for refused in comparing.refusals:
        emit({"kind": "error", "id": refused.id, "code": refused.code, "message": refused.message})
    for report in found.strategies:
        emit(strategy_line(report))
    emit(verdict_line(found))
    return 3 if comparing.refusals else 0


def _severities(words: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in words.split(","))
    except ValueError as error:
        raise CallError(f"--severities {words!r}; give numbers from 1 to 5, separated by commas") from error


def _write(found: Any, given: argparse.Namespace) -> None:
    from fusion_core.compare.export import as_csv, as_parquet, long_table
    from fusion_core.compare.plan import made_of
    from fusion_core.compare.result_file import FILE_NAME, save_comparison
    from fusion_core.log.durable import replace_file

    save_comparison(found, made_of(given.model, given.records, asked_of(given)), given.out / FILE_NAME)
    table = long_table(found)
    replace_file(given.out / "comparison.csv", as_csv(table).encode())
    replace_file(given.out / "comparison.parquet", as_parquet(table))


def _within() -> Callable[[str, int, int], None]:
    """Return what tells of a piece that takes long, at most every five seconds."""
    last = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 5:
            last = time.monotonic()
            say(f"  {what} {done:,}/{total:,}")

    return tell


def _progress() -> Callable[[Any], None]:
    """Return what tells of every piece, with the time left at the pace of the last ten."""
    times: list[float] = []

    def tell(found: Any) -> None:
        times.append(time.monotonic())
        pace = (times[-1] - times[-11 if len(times) > 10 else 0]) / max(1, min(10, len(times) - 1))
        left = f"; at this pace {_time(pace * (found.planned - found.done))} left" if len(times) > 1 else ""
        say(f"{found.done}/{found.planned} {found.doing or 'done'}{left if found.doing else ''}")

    return tell


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
