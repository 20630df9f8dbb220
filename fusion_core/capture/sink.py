"""Where recorded entries go: the run of the log that has their columns, and a part number nobody else has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from fusion_core.capture.entry import Entry, logged
from fusion_core.errors import CallError, FusionError
from fusion_core.log.entries import MAX_SLICES, columns_of, slice_cells, slice_kinds, slice_marks, slice_names
from fusion_core.log.kept import naming_media
from fusion_core.log.parts import (
    create_run,
    errors_table,
    next_number,
    read_run,
    rows_table,
    run_folder,
    runs,
    write_part,
)
from fusion_core.log.runs import run_bytes
from fusion_core.log.schema import Logged, LoggedError, PartKind, Run, SliceKind
from fusion_core.log.upkeep import compact, small_parts
from fusion_core.reading.texts import show_text
from fusion_core.types import MODALITIES

MOST_RUNS = 1_000
#: So many small parts are put together; their files stay so many seconds for questions that have begun to read them.
SMALL_PARTS, GRACE = 100, 600.0

Fault = Callable[[Exception], None]


class Sink:
    """Writes entries of fixed classes to runs of one log: `base`, and `base-2` on when columns are new to a run.

    Raises CallError for a name, classes, release or model that no run can have.
    """

    def __init__(self, log: Path, base: str, classes: Sequence[str], release: str | None, model: str = "") -> None:
        self.log, self.base, self.classes = log, base, tuple(classes)
        self.release, self.model = release, model
        self.run: Run | None = None
        self._patience: dict[str, int] = {}  # by run, how many small parts are too many
        # What no run may be is refused now: a first entry that cannot be written would be too late to say so.
        run_folder(log, base)
        warm = Run(base, self.classes, MODALITIES, {}, "recorder", model)
        run_bytes(warm)
        # Arrow imports pandas with its first table, which Python refuses while a process ends, when a queue is emptied.
        moment = datetime.fromtimestamp(0, UTC)
        errors_table([LoggedError("", None, "", "", moment)])
        rows_table([Logged("", "", "", 0.0, (0.0,) * len(self.classes), moment, release)], warm)

    def write(self, entries: Sequence[Entry], fault: Fault) -> int:
        """Write entries as one part and return how many are in the log as answers.

        Those that cannot be rows are told to `fault` and written as errors. Raises CallError (disk full, no
        permission): nothing is in the log then, and the same entries may be given again.
        """
        run = self._fitting(slice_kinds(entry.slices for entry in entries))
        with naming_media(self.log):
            rows, errors = self._rows(entries, run, fault)
            if rows is not None:
                self._part(run, "parts", rows)
        if errors:
            try:
                self._part(run, "errors", errors_table(errors))
            except CallError as error:  # the answers are written: to raise now would write them twice
                fault(error)
        return 0 if rows is None else int(rows.num_rows)

    def tidy(self, fault: Fault) -> None:
        """Put small parts of the run together when there are more than 100; what goes wrong is told to `fault`.

        Parts that cannot be merged, damaged ones or on a full disk, are tried again once there are 100 more.
        """
        if self.run is None:
            return
        try:
            if small_parts(self.log, self.run.name) > self._patience.get(self.run.name, SMALL_PARTS):
                try:
                    compact(self.log, self.run.name, GRACE)
                finally:
                    self._patience[self.run.name] = small_parts(self.log, self.run.name) + SMALL_PARTS
        except Exception as error:
            fault(error)

    def _rows(self, entries: Sequence[Entry], run: Run, fault: Fault) -> tuple[pa.Table | None, list[LoggedError]]:
        rows: list[Logged] = []
        errors: list[LoggedError] = []
        columns = columns_of(run)
        for entry in entries:
            try:
                cells = slice_cells(entry.slices, columns, run.slices)
                rows.append(logged(entry, run.classes, self.release, self.log, cells))
            except Exception as error:
                if is_passing(error):
                    raise
                fault(error)
                errors.append(_error(entry, error, self.release))
        try:
            return (rows_table(rows, run) if rows else None), errors
        except CallError as error:  # an entry's fault, not the disk's
            raise ValueError(str(error)) from error

    def _part(self, run: Run, kind: PartKind, table: pa.Table) -> None:
        folder = run_folder(self.log, run.name)
        for _ in range(100):
            try:
                write_part(folder, kind, table, next_number(folder, kind))
            except FileExistsError:  # another recorder took the number
                continue
            return
        raise CallError(f"no part number of run {run.name!r} is to be had")

    def _fitting(self, needed: Mapping[str, SliceKind]) -> Run:
        """Return a run that has these columns, made if there is none: a run's columns never change."""
        if self.run is not None and _fits(self.run, needed):
            return self.run
        there = set(runs(self.log))
        names = [name for name in self._names() if name in there]
        fitting = [r for r in (read_run(self.log, name) for name in reversed(names)) if self._is_mine(r, needed)]
        self.run = fitting[0] if fitting else self._made(needed, there)
        return self.run

    def _names(self) -> Iterator[str]:
        yield self.base
        yield from (f"{self.base[:58]}-{number}" for number in range(2, MOST_RUNS))

    def _is_mine(self, run: Run, needed: Mapping[str, SliceKind]) -> bool:
        return run.source == "recorder" and run.classes == self.classes and _fits(run, needed)

    def _made(self, needed: Mapping[str, SliceKind], there: set[str]) -> Run:
        known = {} if self.run is None else {c: self.run.slices[name] for c, name in columns_of(self.run).items()}
        kinds = {**known, **{c: k if known.get(c, k) == k else "text" for c, k in needed.items()}}
        names = slice_names(kinds)
        slices = {name: kinds[column] for column, name in names.items()}
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        for name in self._names():
            if name in there:
                continue
            run = Run(name, self.classes, MODALITIES, slices, "recorder", self.model, "", slice_marks(names), now)
            try:
                create_run(self.log, run)
                return run
            except CallError:
                if name not in runs(self.log):
                    raise
                found = read_run(self.log, name)  # another recorder made it just now
                if self._is_mine(found, needed):
                    return found
        raise CallError(f"the log has {MOST_RUNS:,} runs named {self.base!r}; name another")


def is_passing(error: Exception) -> bool:
    """Whether an error is the disk's and may pass (full, not writable), rather than that of an entry."""
    return isinstance(error, OSError) or getattr(error, "code", "") in ("resource_exhausted", "call_refused")


def _fits(run: Run, needed: Mapping[str, SliceKind]) -> bool:
    columns = columns_of(run)
    if len(columns) >= MAX_SLICES:
        needed = {column: kind for column, kind in needed.items() if column in columns}
    return all(c in columns and run.slices[columns[c]] in ("text", kind) for c, kind in needed.items())


def _error(entry: Entry, error: Exception, release: str | None) -> LoggedError:
    code = error.code if isinstance(error, FusionError) else "metadata_damaged"
    try:
        moment = entry.moment
    except (ValueError, OverflowError, OSError, TypeError):
        moment = None
    id = show_text(str(entry.id)[:512])
    return LoggedError(id, None, code, show_text(str(error)[:1_000]), moment, release)
