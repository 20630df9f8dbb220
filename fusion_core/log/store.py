"""A prediction log opened for questions: DuckDB in memory, locked down, over the explicit list of its live parts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.errors import CallError
from fusion_core.log.diagnosed import CAUSES, FOLDER, SUMMARY, Diagnosed, causes_path, load_diagnosis
from fusion_core.log.manifest import MANIFEST
from fusion_core.log.parts import Parts, live_parts
from fusion_core.log.runs import read_run, run_folder, runs
from fusion_core.log.schema import ANSWERED, ERRORS, PartKind, Run, SliceKind
from fusion_core.reading.media import PrivateFolder
from fusion_core.reading.texts import quoted

THREADS = 2
MEMORY = "512MB"
SPILL = "4GB"
SECONDS = 20.0

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.timestamp("us"): "TIMESTAMP",
    pa.float32(): "FLOAT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.list_(pa.float32()): "FLOAT[]",
}
#: `part` and `place` tell where a row lies: the number of its file in `Store.files`, and its number in that file.
_PLACE = "file_index AS part, file_row_number AS place"


@dataclass(frozen=True)
class Opened:
    """One run of an opened log with what can be read of it; `undiagnosed` says why there is no diagnosis to show."""

    run: Run
    parts: Parts
    diagnosed: Diagnosed | None = None
    undiagnosed: str = ""


class Store:
    """The answered and error rows of one run, or of all runs of a log, as they were when it was opened.

    Values reach DuckDB as parameters only, and nothing outside the log's runs can be read or written through it.
    Raises CallError for a run that is not there, or whose files cannot be read at all.
    """

    def __init__(self, log: Path, run: str | None = None, seconds: float = SECONDS) -> None:
        self.log, self.run, self.seconds = log.resolve(), run, seconds
        self._spill = PrivateFolder()
        self._open()

    def _open(self) -> None:
        names = runs(self.log) if self.run is None else (self.run,)
        self._mark = self._marked(names)
        self.opened = tuple(_opened(self.log, name) for name in names)
        self.slices = _merged(self.opened)
        self._database = locked_down(self.log / "runs", self._spill.path)
        self.files = self._view("answered", "parts")
        self._view("errors", "errors")
        self._view_causes()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    @property
    def said(self) -> str:
        """How much of the log can be read, and what cannot: "3 of 4 parts; parts/part-00002.parquet of run a: ..."."""
        live, damaged = [sum(len(found) for found in (o.parts.live for o in self.opened))], list[str]()
        for o in self.opened:
            damaged += [f"{d.part.file} of run {o.run.name} is not read: {d.reason}" for d in o.parts.damaged]
        notes = [f"run {o.run.name}: {note}" for o in self.opened for note in o.parts.notes]
        notes += [o.undiagnosed for o in self.opened if o.undiagnosed]
        return "; ".join([f"{live[0]} of {live[0] + len(damaged)} parts", *damaged, *notes])

    @property
    def mark(self) -> str:
        """What the log was when it was opened: another one once rows were added, dropped or diagnosed."""
        return repr(self._mark)

    def path(self, part: int) -> str:
        """Return where the file of this number in `files` lies."""
        run, file = self.files[part]
        return str(run_folder(self.log, run) / file)

    def refresh(self) -> bool:
        """Open the log anew if it has changed since it was opened; say whether it had."""
        names = runs(self.log) if self.run is None else (self.run,)
        if self._marked(names) == self._mark:
            return False
        self.close()
        self._open()
        return True

    def ask(self, sql: str, values: Sequence[object] = ()) -> pd.DataFrame:
        """Answer a question that `queries` has put together from its own words; values stand as $1, $2, ...

        Raises CallError `resource_exhausted` after `seconds` or beyond the memory limit, and `call_refused` for values
        that no row can have and for parts that went since the log was opened.
        """
        cursor = self._database.cursor()
        timer = threading.Timer(self.seconds, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            with _said_as_call_error(self.seconds):
                return cursor.execute(sql, list(values)).df()
        finally:
            timer.cancel()
            cursor.close()

    def _marked(self, names: Sequence[str]) -> tuple[tuple[str, int, int, int], ...]:
        marks = []
        for name in names:
            folder = run_folder(self.log, name)
            for path in (folder / MANIFEST, folder / FOLDER / SUMMARY):
                there = path.stat() if path.exists() else None
                marks.append((name, *((there.st_ino, there.st_size, there.st_mtime_ns) if there else (0, 0, 0))))
        return tuple(marks)

    def _view(self, name: str, kind: PartKind) -> tuple[tuple[str, str], ...]:
        found = [(o.run.name, part.file) for o in self.opened for part in o.parts.of(kind)]
        paths = {pair: str(run_folder(self.log, pair[0]) / pair[1]) for pair in found}
        # Newest first: a page of the newest rows then leaves out all older parts by their statistics.
        found.sort(key=lambda pair: _newest(paths[pair]), reverse=True)
        files = ", ".join(_literal(paths[pair]) for pair in found)
        rows = f"SELECT *, {_PLACE} FROM read_parquet([{files}], union_by_name=true)" if found else _no_rows(kind, self)
        with _said_as_call_error(self.seconds):
            self._database.execute(f"CREATE VIEW {name} AS {rows}")
        return tuple(found)

    def _view_causes(self) -> None:
        paths = [str(causes_path(run_folder(self.log, o.run.name))) for o in self.opened if o.diagnosed]
        files = ", ".join(_literal(path) for path in paths)
        empty = ", ".join(f'CAST(NULL AS {_SQL_TYPES[f.type]}) AS "{f.name}"' for f in CAUSES)
        rows = f"SELECT * FROM read_parquet([{files}])" if paths else f"SELECT {empty} WHERE false"
        with _said_as_call_error(self.seconds):
            self._database.execute(f"CREATE VIEW causes AS {rows}")


def _opened(log: Path, name: str) -> Opened:
    folder = run_folder(log, name).resolve()
    run, parts = read_run(log, name), live_parts(folder)
    try:
        return Opened(run, parts, load_diagnosis(folder))
    except CallError as error:
        return Opened(run, parts, None, str(error))


def locked_down(folder: Path, spill: Path) -> duckdb.DuckDBPyConnection:
    """Return a database in memory that reads under `folder`, spills to `spill`, and whose settings cannot be changed.

    The order matters: the folders are named before access is closed, and the lock comes last.
    """
    database = duckdb.connect(":memory:")
    settings: list[tuple[str, object]] = [
        ("threads", min(THREADS, os.cpu_count() or 1)),
        ("memory_limit", MEMORY),
        ("temp_directory", str(spill)),
        ("max_temp_directory_size", SPILL),
        ("parquet_metadata_cache", True),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("allow_community_extensions", False),
        ("allow_persistent_secrets", False),
        ("python_enable_replacements", False),
        ("allowed_directories", [str(folder)]),
        ("enable_external_access", False),
        ("lock_configuration", True),
    ]
    for name, value in settings:
        database.execute(f"SET {name} = $1", [value])
    return database


@contextmanager
def _said_as_call_error(seconds: float) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise CallError(
            f"the question took longer than {seconds:g} seconds; narrow it", "resource_exhausted"
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise CallError(f"the question needs more memory than {MEMORY}; narrow it", "resource_exhausted") from error
    except duckdb.IOException as error:
        raise CallError(f"a part went or changed since the log was opened; open it again ({error})") from error
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise CallError(f"a value of the question is not one that a row can have: {error}") from error


def _merged(opened: Sequence[Opened]) -> dict[str, SliceKind]:
    merged: dict[str, SliceKind] = {}
    spelled: dict[str, str] = {}
    for one in opened:
        for name, kind in one.run.slices.items():
            known = spelled.setdefault(name.lower(), name)
            if known != name or merged.setdefault(name, kind) != kind:
                raise CallError(
                    f"slice {quoted(name)} of run {quoted(one.run.name)} is spelled or kept otherwise in another run; "
                    "open one run at a time"
                )
    return merged


def _newest(path: str) -> float:
    """Return the newest timestamp of a part in seconds, from its own statistics; -inf where no row has one."""
    newest = float("-inf")
    file = pq.ParquetFile(path)
    column = file.schema_arrow.names.index("timestamp")
    column += sum(1 for name in file.schema_arrow.names[:column] if name == "probabilities")
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            newest = max(newest, pd.Timestamp(statistics.max).timestamp())
    return newest


def _no_rows(kind: PartKind, store: Store) -> str:
    schema = ANSWERED if kind == "parts" else ERRORS
    columns = [(f.name, _SQL_TYPES[f.type]) for f in schema]
    if kind == "parts":
        columns += [(f"slice_{name}", "VARCHAR" if of == "text" else "DOUBLE") for name, of in store.slices.items()]
    columns += [("part", "UBIGINT"), ("place", "BIGINT")]
    return "SELECT " + ", ".join(f'CAST(NULL AS {of}) AS "{name}"' for name, of in columns) + " WHERE false"


def _literal(text: str) -> str:
    """Return a file name as SQL text; a view cannot take it as a parameter."""
    return "'" + text.replace("'", "''") + "'"
