"""Rows of somebody else's log as rows of ours, or as errors that say why not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fusion_core.errors import RecordError
from fusion_core.log.columns import Columns
from fusion_core.log.entries import columns_of, keep_by_content, slice_cells
from fusion_core.log.schema import Logged, LoggedError, Run
from fusion_core.log.survey import Survey
from fusion_core.reading.cells import identity, moment, words
from fusion_core.reading.media import MediaStore, read_media
from fusion_core.reading.metadata import Row
from fusion_core.reading.rows import Finder, is_empty, media_of
from fusion_core.reading.texts import quoted
from fusion_core.types import MODALITIES

STRATEGY = "imported"


class Importer:
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
        with suppress(ValueError, RecordError):
            time, release = moment(cell("timestamp")), words(cell("release"), "release")
        return LoggedError(id, None, code, f"{row.where}: {error}", time, release)
