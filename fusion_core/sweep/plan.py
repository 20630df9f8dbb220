"""What a sweep is: which model over which records in which chunks. A resumed sweep must be the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from fusion_core.asked import Asked
from fusion_core.encoders import EncoderRoots
from fusion_core.errors import CallError
from fusion_core.log.entries import plain_run_name, slice_kinds, slice_marks, slice_names
from fusion_core.log.parts import create_run, read_run, run_folder, runs
from fusion_core.log.schema import Run
from fusion_core.model import FusedModel
from fusion_core.reading.texts import quoted
from fusion_core.types import Record, Refusal

#: Rows of a chunk, which is a part of the log: what is done again after a sweep was killed, per worker.
CHUNK = 256
#: Columns of `meta` that are columns of the log.
OWN = ("release", "latency_ms")


@dataclass(frozen=True)
class Plan:
    """A sweep in words that a worker process can be told: paths, hashes and counts, no data.

    records_mark: hash of the rows of the record set. chunk: rows of a part; batch: rows answered at once.
    """

    model: Path
    model_mark: str
    records: Path
    records_mark: str
    log: Path
    run: str
    strategies: tuple[str, ...]
    rows: int
    chunk: int
    batch: int
    roots: tuple[Path, ...] = ()
    allow_hub: bool = False
    asked: Asked = field(default_factory=Asked)

    @property
    def folder(self) -> Path:
        """The run's folder in the log."""
        return run_folder(self.log, self.run)

    @property
    def chunks(self) -> int:
        """How many chunks there are; chunk k is part k."""
        return -(-self.rows // self.chunk)

    @property
    def encoder_roots(self) -> EncoderRoots:
        """Where encoders may be read from."""
        return EncoderRoots(self.roots, self.allow_hub)

    def places(self, number: int) -> range:
        """Return which rows of the record set chunk `number` is."""
        return range(number * self.chunk, min(self.rows, (number + 1) * self.chunk))

    def marks(self) -> dict[str, str]:
        """Return what must be the same when the sweep is resumed, as run.json keeps it under `mapping`."""
        return {
            "sweep.records": self.records_mark,
            "sweep.strategies": ",".join(self.strategies),
            "sweep.rows": str(self.rows),
            "sweep.chunk": str(self.chunk),
            "sweep.batch": str(self.batch),
        }


def run_name(model: Path, records: Path) -> str:
    """Return the name a sweep has unless it is given one: the bundle's and the record set's."""
    stem = records.resolve().name
    parent = records.resolve().parent.name
    name = f"{model.resolve().name}-{parent}-{stem}" if records.is_dir() else f"{model.resolve().name}-{stem}"
    return plain_run_name(name)


def is_own(column: str, value: object) -> bool:
    """Whether a value of `meta` goes to a column of the log that is no slice."""
    return column == "release" or (column == "latency_ms" and isinstance(value, float) and isfinite(value))


def begin(plan: Plan, model: FusedModel, rows: Sequence[Record | Refusal], resume: bool) -> Run:
    """Make the plan's run in the log, or go on with it.

    Raises CallError when the run is there and is not to be resumed, or began with another model or other records.
    """
    if plan.run in runs(plan.log):
        run = read_run(plan.log, plan.run)
        if not resume:
            raise CallError(
                f"run {quoted(plan.run)} is in the log already; --resume goes on with it, --run names another"
            )
        _check_same(plan, run)
        return run
    metas = [
        {column: value for column, value in row.meta.items() if not is_own(column, value)}
        for row in rows
        if isinstance(row, Record)
    ]
    kinds = slice_kinds(metas)
    names = slice_names(sorted(kinds))
    run = Run(
        plan.run,
        model.classes,
        model.modalities,
        {name: kinds[column] for column, name in names.items()},
        "sweep",
        model.name,
        plan.model_mark,
        {**plan.marks(), **slice_marks(names)},
        datetime.now(UTC).replace(tzinfo=None, microsecond=0),
    )
    create_run(plan.log, run)
    return run


def _check_same(plan: Plan, run: Run) -> None:
    if run.source != "sweep":
        raise CallError(f"run {quoted(run.name)} was written by the {run.source}, not by a sweep; give another --run")
    if run.model_mark != plan.model_mark:
        raise CallError(f"run {quoted(run.name)} began with another model (or another fit of it); give another --run")
    words = {"sweep.records": "other records", "sweep.strategies": "other strategies", "sweep.rows": "other records"}
    for mark, value in plan.marks().items():
        if run.mapping.get(mark) != value:
            raise CallError(f"run {quoted(run.name)} began with {words.get(mark, mark)}; give another --run")


def sizes(log: Path, name: str, chunk: int, batch: int) -> tuple[int, int]:
    """Return the chunk and batch that a run began with, those given where there is no such run."""
    if name not in runs(log):
        return chunk, batch
    kept = [read_run(log, name).mapping.get(mark, "") for mark in ("sweep.chunk", "sweep.batch")]
    whole = all(size.isascii() and size.isdigit() and int(size) for size in kept)
    return (int(kept[0]), int(kept[1])) if whole else (chunk, batch)
