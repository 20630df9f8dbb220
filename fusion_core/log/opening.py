"""One state of a log: its runs, its live parts, and a locked-down DuckDB over their explicit list. It never changes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.errors import CallError
from fusion_core.log.diagnosed import CAUSES, NOTHING, Diagnosed, causes_path, load_diagnosis
from fusion_core.log.parts import Parts, live_parts
from fusion_core.log.runs import read_run, run_folder
from fusion_core.log.schema import ANSWERED, ERRORS, PartKind, Run, SliceKind
from fusion_core.reading.media import PrivateFolder
from fusion_core.reading.texts import quoted

THREADS = 2
MEMORY = "512MB"
SPILL = "4GB"

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.timestamp("us"): "TIMESTAMP",
    pa.float32(): "FLOAT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.list_(pa.float32()): "FLOAT[]",
}
#: `part` and `place` tell where a row lies: the number of its file in `State.files`, and its number in that file.
_PLACE = "file_index AS part, file_row_number AS place"
#: A record that a service answered twice is diagnosed twice: of one id a cause that is one counts, the surest first.
_FIRST = f"ORDER BY cause = '{NOTHING}', score DESC, cause, said, x, y, cluster"


@dataclass(frozen=True)
class Opened:
    """One run of an opened log with what can be read of it; `undiagnosed` says why there is no diagnosis to show."""

    run: Run
    parts: Parts
    diagnosed: Diagnosed | None = None
    undiagnosed: str = ""


@dataclass(frozen=True)
class State:
    """A log as it was when it was opened; `files`: run and file of every answered part, by its number."""

    log: Path
    mark: str
    seconds: float
    opened: tuple[Opened, ...]
    slices: dict[str, SliceKind]
    files: tuple[tuple[str, str], ...]
    database: duckdb.DuckDBPyConnection
    spill: PrivateFolder

    def path(self, part: int) -> str:
        """Return where the file of this number in `files` lies."""
        run, file = self.files[part]
        return str(run_folder(self.log, run) / file)

    def ask(self, sql: str, values: Sequence[object] = ()) -> pd.DataFrame:
        """Answer a question; see `Store.ask`."""
        with said_as_call_error(self.seconds):
            cursor = self.database.cursor()
            timer = threading.Timer(self.seconds, cursor.interrupt)
            timer.daemon = True
            timer.start()
            try:
                return cursor.execute(sql, list(values)).df()
            finally:
                timer.cancel()
                cursor.close()

    @contextmanager
    def still(self) -> Iterator[State]:
        """Be the one state that several questions are asked of."""
        yield self


def open_state(log: Path, names: Sequence[str], mark: str, seconds: float) -> State:
    """Open runs of a log as they are now; CallError when they cannot be read at all, and nothing is left open then."""
    opened = tuple(_opened(log, name) for name in names)
    slices, spill = _merged(opened), PrivateFolder()
    database = locked_down(log / "runs", spill.path)
    try:
        with said_as_call_error(seconds):
            files = _view(database, log, opened, slices, "parts")
            _view(database, log, opened, slices, "errors")
            _view_causes(database, log, opened)
    except BaseException:
        database.close()
        raise
    return State(log, mark, seconds, opened, slices, files, database, spill)


def _opened(log: Path, name: str) -> Opened:
    folder = run_folder(log, name).resolve()
    run, parts = read_run(log, name), live_parts(folder)
    try:
        return Opened(run, parts, load_diagnosis(folder))
    except CallError as error:
        return Opened(run, parts, None, str(error))


def _view(
    database: duckdb.DuckDBPyConnection,
    log: Path,
    opened: Sequence[Opened],
    slices: dict[str, SliceKind],
    kind: PartKind,
) -> tuple[tuple[str, str], ...]:
    found = [(o.run.name, part.file) for o in opened for part in o.parts.of(kind)]
    paths = {pair: str(run_folder(log, pair[0]) / pair[1]) for pair in found}
    # Newest first: a page of the newest rows then leaves out all older parts by their statistics.
    newest = {pair: _newest(path) for pair, path in paths.items()}
    found.sort(key=newest.__getitem__, reverse=True)
    files = ", ".join(_literal(paths[pair]) for pair in found)
    read = f"SELECT *, {_PLACE} FROM read_parquet([{files}], union_by_name=true)"
    name = "answered" if kind == "parts" else kind
    database.execute(f"CREATE VIEW {name} AS {read if found else _no_rows(kind, slices)}")
    return tuple(found)


def _view_causes(database: duckdb.DuckDBPyConnection, log: Path, opened: Sequence[Opened]) -> None:
    """Make `causes`, at most one per id and strategy, and `named`, at most one per id: joins multiply no row."""
    paths = [str(causes_path(run_folder(log, o.run.name))) for o in opened if o.diagnosed]
    files = ", ".join(_literal(path) for path in paths)
    empty = ", ".join(f'CAST(NULL AS {_SQL_TYPES[f.type]}) AS "{f.name}"' for f in CAUSES)
    rows = f"(SELECT * FROM read_parquet([{files}]))" if paths else f"(SELECT {empty} WHERE false)"
    counted = database.execute(f"SELECT count(*) = count(DISTINCT id) FROM {rows}").fetchone()
    per_row, per_id, first = "DISTINCT ON (id, strategy)", "DISTINCT ON (id)", _FIRST
    if counted is not None and counted[0]:
        per_row = per_id = first = ""  # as it mostly is: nothing to sort
    database.execute(f"CREATE VIEW causes AS SELECT {per_row} * FROM {rows} {first}")
    database.execute(f"CREATE VIEW named AS SELECT {per_id} id AS named, cause FROM {rows} {first}")


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
def said_as_call_error(seconds: float) -> Iterator[None]:
    """Turn what DuckDB and the system say of a question into a CallError."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise CallError(
            f"the question took longer than {seconds:g} seconds; narrow it", "resource_exhausted"
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise CallError(f"the question needs more memory than {MEMORY}; narrow it", "resource_exhausted") from error
    except (duckdb.IOException, OSError, pa.ArrowException) as error:
        raise CallError(f"a part went or changed since the log was opened; open it again ({error})") from error
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise CallError(f"a value of the question is not one that a row can have: {error}") from error
    except duckdb.Error as error:
        raise CallError(f"the log cannot answer this; open it again ({error})") from error


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


def _no_rows(kind: PartKind, slices: dict[str, SliceKind]) -> str:
    schema = ANSWERED if kind == "parts" else ERRORS
    columns = [(f.name, _SQL_TYPES[f.type]) for f in schema]
    if kind == "parts":
        columns += [(f"slice_{name}", "VARCHAR" if of == "text" else "DOUBLE") for name, of in slices.items()]
    columns += [("part", "UBIGINT"), ("place", "BIGINT")]
    return "SELECT " + ", ".join(f'CAST(NULL AS {of}) AS "{name}"' for name, of in columns) + " WHERE false"


def _literal(text: str) -> str:
    """Return a file name as SQL text; a view cannot take it as a parameter."""
    return "'" + text.replace("'", "''") + "'"
