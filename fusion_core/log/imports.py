"""Bring predictions that others logged into a log: CSV, JSONL or Parquet, their columns named by a mapping."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from fusion_core.errors import CallError, RecordError
from fusion_core.log.columns import PROBABILITY, Columns, default_mapping
from fusion_core.log.entries import columns_of, keep_by_content, slice_cells, slice_marks, slice_names
from fusion_core.log.parts import create_run, errors_table, rows_table, write_part
from fusion_core.log.schema import Logged, LoggedError, Run
from fusion_core.log.survey import Survey, survey
from fusion_core.reading.cells import identity, moment, words
from fusion_core.reading.media import MediaStore, read_media
from fusion_core.reading.metadata import Row, read_rows
from fusion_core.reading.paths import open_regular
from fusion_core.reading.records import check_suffix, in_folder
from fusion_core.reading.rows import Finder, is_empty, media_of
from fusion_core.reading.texts import quoted
from fusion_core.types import MODALITIES

STRATEGY = "imported"
PART_ROWS = 50_000


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
    relative to the file's folder, and copied.
    Raises CallError when a column for id or prediction is missing, the file cannot be read, or the run is there already.
    """
    started = time.monotonic()
    check_suffix(file.name)
    columns = _columns(file, mapping or {})
    found = survey(_rows(file, columns), columns, tuple(classes))
    names = slice_names(found.slices)
    name = run or file.stem
    kinds = {plain: found.slices[column] for column, plain in names.items()}
    kept = Run(
        name,
        found.classes,
        found.modalities,
        kinds,
        "import",
        mapping={**columns.ours, **slice_marks(names)},
        started=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
    )
    folder = create_run(log, kept)
    importer = _Importer(log, kept, columns, found, in_folder(file.resolve().parent))
    rows = _rows(file, columns)
    ok = error = number = 0
    while chunk := list(islice(rows, part_rows)):
        answered, errors = importer.sorted_out(chunk)
        if answered:
            write_part(folder, "parts", rows_table(answered, kept), number)
        if errors:
            write_part(folder, "errors", errors_table(errors), number)
        ok, error, number = ok + len(answered), error + len(errors), number + 1
    return Imported(name, ok + error, ok, error, round(time.monotonic() - started, 3))


def _columns(file: Path, mapping: Mapping[str, str]) -> Columns:
    """Return which column of the file is which of ours; CallError names those there are when one is missing."""
    there: dict[str, None] = {}
    for row in _raw(file, frozenset()):
        there.update(dict.fromkeys(row.cells))
    if not there:
        raise CallError(f"{quoted(file.name)} has no rows that can be read", "metadata_damaged")
    return default_mapping(tuple(there), mapping, file.name)


def _rows(file: Path, columns: Columns) -> Iterator[Row]:
    return _raw(file, columns.as_written)


def _raw(file: Path, as_written: frozenset[str]) -> Iterator[Row]:
    try:
        with open_regular(file.resolve(), file.name) as opened:
            yield from read_rows(opened, file.name, as_written, frozenset())
    except (RecordError, OSError) as error:
        code = error.code if isinstance(error, RecordError) else "file_missing"
        raise CallError(f"{quoted(file.name)} cannot be read: {error}", code) from error


class _Importer:
    """Makes rows of a file into rows of the log."""

    def __init__(self, log: Path, run: Run, columns: Columns, found: Survey, finder: Finder) -> None:
        self.log, self.run, self.columns, self.found, self.finder = log, run, columns, found, finder
        self._slices = columns_of(run)
        self._store = MediaStore()
        self._seen: set[tuple[str, str]] = set()

    def sorted_out(self, rows: Sequence[Row]) -> tuple[list[Logged], list[LoggedError]]:
        """Return rows as answers and errors."""
        answered: list[Logged] = []
        errors: list[LoggedError] = []
        for row in rows:
            try:
                answered.append(self._row(row))
            except (RecordError, ValueError) as error:
                errors.append(self._error(row, error))
        return answered, errors

    def _row(self, row: Row) -> Logged:
        if row.fault:
            raise RecordError(row.fault, "metadata_damaged")
        cell = self.columns.of(row)
        id, said = identity(cell("id")), words(cell("prediction"), "prediction")
        if id is None or said is None:
            missing = "id" if id is None else "prediction"
            raise RecordError(f"has no {missing} (column {quoted(self.columns.ours[missing])})", "metadata_damaged")
        strategy = words(cell("strategy"), "strategy") or STRATEGY
        if (id, strategy) in self._seen:
            raise RecordError(f"an earlier row has the id {quoted(id)}", "duplicate_id")
        probabilities = self.found.probabilities(row)
        media = {m: self._media(cell(m), m, row) for m in ("image", "audio")}
        text = words(cell("text"), "text")
        there = {"text": text, **media}
        time, flags = self._time(cell("timestamp"), row)
        logged = Logged(
            id,
            strategy,
            said,
            self.found.confidence(row, said, probabilities),
            probabilities,
            time,
            words(cell("release"), "release"),
            words(cell("label"), "label"),
            self.columns.number(row, "latency_ms"),
            tuple(m for m in MODALITIES if there[m] is not None),
            flags,
            text,
            media["image"],
            media["audio"],
            slice_cells(row.cells, self._slices, self.run.slices),
        )
        self._seen.add((id, strategy))
        return logged

    def _time(self, cell: object, row: Row) -> tuple[datetime | None, tuple[str, ...]]:
        flags = ("undecodable-bytes-replaced",) if row.flags else ()
        try:
            return moment(cell), flags
        except ValueError:
            return None, (*flags, "unreadable-timestamp")

    def _media(self, cell: object, modality: str, row: Row) -> str | None:
        if is_empty(cell):
            return None
        media = media_of(cell, f"{modality} of row {row.number}", self.finder, self._store)
        return keep_by_content(self.log, read_media(media))

    def _error(self, row: Row, error: Exception) -> LoggedError:
        code = error.code if isinstance(error, RecordError) else "metadata_damaged"
        cell = self.columns.of(row)
        try:
            id = identity(cell("id")) or f"row:{row.number}"
        except RecordError:
            id = f"row:{row.number}"
        time, release = None, None
        try:
            time, release = moment(cell("timestamp")), words(cell("release"), "release")
        except (ValueError, RecordError):
            pass
        return LoggedError(id, None, code, f"{row.where}: {error}", time, release)


__all__ = ["PROBABILITY", "Imported", "import_log"]
