"""The sweep itself: what is not in the log yet, who answers it, and how far it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.answer_table import mark_records
from fusion_core.asked import Asked
from fusion_core.encoders import EncoderRoots
from fusion_core.errors import CallError
from fusion_core.log.commit import numbered, settled
from fusion_core.log.parts import Parts, live_parts
from fusion_core.log.schema import PartKind
from fusion_core.model import chosen_strategies
from fusion_core.opening import mark_model, open_fused
from fusion_core.reading.records import RecordSet, read
from fusion_core.reading.texts import quoted
from fusion_core.sweep.chunks import ChunkWriter, Task
from fusion_core.sweep.plan import CHUNK, Plan, begin, run_name, sizes
from fusion_core.sweep.workers import Workers

BATCH = 16
SAY_EVERY = 1.0
KINDS: tuple[PartKind, ...] = ("parts", "errors")

Backend = Literal["serial", "process"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Swept:
    """A finished sweep and this call's seconds.

    rows: those of the record set. ok, error: records of the run in the log with an answer by every strategy, and those
    with an error of any; rows = ok + error. answers: one per record and strategy.
    """

    run: str
    rows: int
    ok: int
    error: int
    answers: int
    seconds: float


def sweep(
    model: Path,
    records: Path,
    log: Path,
    run: str = "",
    strategy: str = "",
    backend: Backend = "serial",
    resume: bool = False,
    roots: EncoderRoots | None = None,
    chunk: int = CHUNK,
    batch: int = BATCH,
    workers: int = 0,
    say: Say = lambda words: None,
    asked: Asked | None = None,
) -> Swept:
    """Answer every record of a set and put the answers into a log, as one run of it.

    chunk: rows of a part; batch: rows answered at once; workers: processes (0: one per processor). A run that was
    stopped is gone on with by `resume`, and ends equal to one that was not. Raises CallError when the run is there
    already, or began with another model, other records or other strategies; `resource_exhausted` on a full disk.
    """
    started = time.monotonic()
    rows, asked = read(records), asked or Asked()
    fused = open_fused(model, roots, asked, lambda: rows.records)
    if not len(rows):
        raise CallError(f"{quoted(records.name)} has no rows")
    name = run or run_name(model, records)
    roots = roots or EncoderRoots()
    chunk, batch = sizes(log, name, chunk, batch) if resume else (chunk, batch)
    plan = Plan(
        *(model.resolve(), mark_model(model, asked), records.resolve(), mark_records(rows.rows), log.resolve(), name),
        *(chosen_strategies(fused, strategy), len(rows), chunk, batch, roots.folders, roots.allow_hub),
        asked=asked,
    )
    opened = begin(plan, fused, rows.rows, resume)
    left = _left(plan, rows)
    pace = _Pace(plan, left, say)
    if backend == "process":
        count = min(workers or os.cpu_count() or 1, max(1, len(left)))
        del fused  # the workers have their own
        for number in _by_workers(plan, count, left):
            pace.add(number)
    else:
        writer = ChunkWriter(plan, fused, rows, opened)
        for number in left:
            writer.write(Task(number))
            pace.add(number)
    return _swept(plan, rows, time.monotonic() - started)


def _by_workers(plan: Plan, count: int, left: list[int]) -> Iterator[int]:
    if left:
        with Workers(plan, count) as pool:
            yield from pool.run(left)


def _left(plan: Plan, rows: RecordSet) -> list[int]:
    """Return the chunks that are not in the log in full; CallError when the run's parts are not those it wrote."""
    parts = live_parts(plan.folder)
    if not parts.damaged and _ends(plan, parts) >= plan.rows * len(plan.strategies):
        return []  # finished, whatever upkeep has done to its parts since
    parts = settled(plan.folder, lambda number: {rows.rows[place].id for place in plan.places(number)})
    answered, errors = (dict(numbered(parts, kind)) for kind in KINDS)
    full = {k: len(plan.places(k)) * len(plan.strategies) for k in range(plan.chunks)}
    return [k for k in full if k not in errors and (k not in answered or answered[k].rows < full[k])]


def _ends(plan: Plan, parts: Parts) -> int:
    """Count how many answers the run has or never will have: a record that could not be read ends all of its own."""
    ends = sum(part.rows for part in parts.of("parts"))
    for part in parts.of("errors"):
        whole = pc.sum(pq.read_table(plan.folder / part.file, columns=["strategy"])["strategy"].is_null()).as_py() or 0
        ends += part.rows - whole + whole * len(plan.strategies)
    return ends


def _swept(plan: Plan, rows: RecordSet, seconds: float) -> Swept:
    parts = live_parts(plan.folder)
    answered = {id for part in parts.of("parts") for id in _ids(plan.folder / part.file)}
    failed, unread = set[str](), 0
    for part in parts.of("errors"):
        found = pq.read_table(plan.folder / part.file, columns=["id", "strategy"])
        whole = found["strategy"].is_null()
        unread += int(pc.sum(whole).as_py() or 0)  # by rows, as a record refused for its id has another one's
        failed |= set(found["id"].filter(pc.invert(whole)).to_pylist())
    answers = sum(part.rows for part in parts.of("parts"))
    return Swept(plan.run, len(rows), len(answered - failed), unread + len(failed), answers, round(seconds, 3))


def _ids(file: Path) -> list[str]:
    ids: list[str] = pq.read_table(file, columns=["id"])["id"].unique().to_pylist()
    return ids


class _Pace:
    """Says how far a sweep is: rows done, rows a second since it (re)started, and the time left."""

    def __init__(self, plan: Plan, left: list[int], say: Say) -> None:
        self.plan, self.say = plan, say
        self.todo = sum(len(plan.places(k)) for k in left)
        self.done, self.began, self.said = 0, time.monotonic(), 0.0
        if self.todo < plan.rows:
            say(f"{plan.rows - self.todo:,} of {plan.rows:,} rows are in the log already")

    def add(self, number: int) -> None:
        """Count a chunk that is in the log."""
        self.done += len(self.plan.places(number))
        now = time.monotonic()
        if now - self.said < SAY_EVERY and self.done < self.todo:
            return
        self.said = now
        pace = self.done / max(now - self.began, 1e-6)
        rest = int((self.todo - self.done) / pace)
        there = self.plan.rows - self.todo + self.done
        self.say(f"{there:,}/{self.plan.rows:,} rows, {pace:.1f} rows/s, {rest // 60}:{rest % 60:02d} left")
