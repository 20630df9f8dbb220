"""Bring predictions that others logged into a log: CSV, JSONL or Parquet, their columns named by a mapping."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from fusion_core.errors import CallError, RecordError
from fusion_core.log.columns import Columns, default_mapping
from fusion_core.log.commit import changed, commit, numbered
from fusion_core.log.entries import plain_run_name, slice_marks, slice_names
from fusion_core.log.importer import Importer
from fusion_core.log.kept import naming_media
from fusion_core.log.parts import create_run, errors_table, live_parts, read_run, rows_table, run_folder, runs
from fusion_core.log.schema import PartKind, Run
from fusion_core.log.survey import Survey, survey
from fusion_core.reading.metadata import Row, read_rows
from fusion_core.reading.paths import open_regular
from fusion_core.reading.records import check_suffix, in_folder
from fusion_core.reading.texts import quoted

PART_ROWS = 50_000
KINDS: tuple[PartKind, ...] = ("parts", "errors")


@dataclass(frozen=True)
class Imported:
    """A finished import: rows of the file, how many ended as an answer and as an error, and its seconds."""

    run: str
    rows: int
    ok: int
    error: int
    seconds: float


def import_log(
    file: Path,
    log: Path,
    run: str = "",
    mapping: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    part_rows: int = PART_ROWS,
) -> Imported:
    """Bring a file of predictions into a log as a run of its own; every row ends as an answer or as an error.

    mapping: from our columns (id, prediction, confidence, probabilities, label, timestamp, release, latency_ms,
    strategy, text, image, audio) to the file's; columns of the same name need none, `prob_<class>` are probabilities,
    others become slices. classes: their order in lists of probabilities, where the rows do not tell. Media are named
    relative to the file's folder, and copied. An import that was stopped is gone on with when it is asked for again.
    Raises CallError when a column for id or prediction is missing, the file cannot be read, or the run is another.
    """
    started = time.monotonic()
    check_suffix(file.name)
    if not file.exists():
        raise CallError(f"there is no file {quoted(file.name)}", "file_missing")
    columns = default_mapping(_columns(file), mapping or {}, file.name)
    found = survey(_rows(file, columns), columns, tuple(classes))
    kept = _run(file, run or plain_run_name(file.stem), columns, found, part_rows)
    folder = _begun(log, kept)
    chunks = -(-found.rows // part_rows)
    if sum(part.rows for part in live_parts(folder).live) < found.rows:
        _check_parts(folder, chunks)
        importer = Importer(log, kept, columns, found, in_folder(file.resolve().parent))
        rows = _rows(file, columns)
        for number in range(chunks):
            chunk = list(islice(rows, part_rows))
            with naming_media(log):
                answered, errors = importer.sorted_out(chunk)
                if answered:
                    commit(folder, "parts", rows_table(answered, kept), number)
            if errors:
                commit(folder, "errors", errors_table(errors), number)
    parts = live_parts(folder)
    ok, error = (sum(part.rows for part in parts.of(kind)) for kind in ("parts", "errors"))
    return Imported(kept.name, found.rows, ok, error, round(time.monotonic() - started, 3))


def _run(file: Path, name: str, columns: Columns, found: Survey, part_rows: int) -> Run:
    names = slice_names(found.slices)
    marks = {"import.file": _hash(file), "import.rows": str(found.rows), "import.part_rows": str(part_rows)}
    return Run(
        name,
        found.classes,
        found.modalities,
        {plain: found.slices[column] for column, plain in names.items()},
        "import",
        mapping={**columns.ours, **slice_marks(names), **marks},
        started=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
    )


def _begun(log: Path, run: Run) -> Path:
    """Make the run, or go on with the same import; CallError when the run is something else."""
    if run.name not in runs(log):
        return create_run(log, run)
    there = read_run(log, run.name)
    if replace(there, started=run.started) != run:
        raise CallError(f"run {quoted(run.name)} is in the log already, with other rows or columns; give another --run")
    return run_folder(log, run.name)


def _check_parts(folder: Path, chunks: int) -> None:
    """Raise CallError when the parts there are not those an import goes on with."""
    parts = live_parts(folder)
    numbers = {number for kind in KINDS for number, _ in numbered(parts, kind)}
    if parts.damaged or parts.notes:
        raise changed(folder, "it is damaged")
    # Chunks are written one after the other: any gap, or a number beyond the last, is the work of somebody else.
    if numbers and (numbers != set(range(len(numbers))) or len(numbers) > chunks):
        raise changed(folder, "its parts were merged or moved since they were written")


def _hash(file: Path) -> str:
    with open_regular(file.resolve(), file.name) as opened:
        digest = hashlib.sha256()
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def _columns(file: Path) -> tuple[str, ...]:
    """Return the columns of a file's rows, in the order they turn up."""
    there: dict[str, None] = {}
    for row in _raw(file, frozenset()):
        there.update(dict.fromkeys(row.cells))
        if there and not file.name.lower().endswith(".jsonl"):
            break  # rows of a table all have the same
    if not there:
        raise CallError(f"{quoted(file.name)} has no rows that can be read", "metadata_damaged")
    return tuple(there)


def _rows(file: Path, columns: Columns) -> Iterator[Row]:
    return _raw(file, columns.as_written)


def _raw(file: Path, as_written: frozenset[str]) -> Iterator[Row]:
    try:
        with open_regular(file.resolve(), file.name) as opened:
            yield from read_rows(opened, file.name, as_written, frozenset())
    except (RecordError, OSError) as error:
        code = error.code if isinstance(error, RecordError) else "file_missing"
        raise CallError(f"{quoted(file.name)} cannot be read: {error}", code) from error
