"""Read a record set: a folder, a zip or a table. Every row becomes a record or a refusal with a code; none is lost."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from fusion_core.errors import CallError, RecordError
from fusion_core.reading.archive import unpack
from fusion_core.reading.media import MediaStore, media_from_path, read_media
from fusion_core.reading.metadata import read_rows
from fusion_core.reading.paths import open_regular, plain_parts, resolve_inside
from fusion_core.reading.rows import Finder, assemble
from fusion_core.reading.texts import quoted
from fusion_core.types import Media, Record, Refusal

TABLES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
KINDS = (".zip", ".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class RecordSet:
    """The rows of a record set in input order; `store` holds unpacked files for as long as the set lives."""

    rows: tuple[Record | Refusal, ...]
    store: object | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """The rows that became records."""
        return tuple(row for row in self.rows if isinstance(row, Record))

    @cached_property
    def refusals(self) -> tuple[Refusal, ...]:
        """The rows that did not, each with its code."""
        return tuple(row for row in self.rows if isinstance(row, Refusal))

    @cached_property
    def _by_id(self) -> dict[str, Record]:
        return {record.id: record for record in self.records}

    def find(self, id: str) -> Record:
        """Return the record with this id; CallError names near ids, or why the row was refused."""
        if id in self._by_id:
            return self._by_id[id]
        refused = next((row for row in self.refusals if row.id == id), None)
        if refused is not None:
            raise CallError(f"record {quoted(id)} could not be read: {refused.message}", refused.code)
        ids = list(self._by_id)[:5_000]
        near = difflib.get_close_matches(id, ids, n=3, cutoff=0.5) or ids[:3]
        known = f"; near it: {', '.join(map(quoted, near))}" if near else ""
        raise CallError(f"no record {quoted(id)} among {len(self.records):,}{known}")


def read(path: Path | str) -> RecordSet:
    """Read a folder with a metadata table, a zip of one, or a table whose media lie beside it.

    Raises CallError when the set as a whole cannot be read.
    """
    path = Path(path)
    name = path.name or path.resolve().name
    try:
        if path.is_dir():
            table = _table_of(path, name)
            with open_regular(path / table, table) as file:
                return _collect(file, table, in_folder(path))
        if not path.exists():
            raise CallError(f"there is no file or folder {quoted(name)}", "file_missing")
        check_suffix(name, "a folder, ")
        with open_regular(path.resolve(), name) as file:
            return _collect(file, name, in_folder(path.parent))
    except (RecordError, OSError) as error:
        code = error.code if isinstance(error, RecordError) else "file_missing"
        text = str(error) if isinstance(error, RecordError) else f"{quoted(name)} cannot be read: {error.strerror}"
        raise CallError(text, code) from error


def read_bytes(data: bytes, name: str) -> RecordSet:
    """Read an uploaded zip or table by the rules of `read`; a table on its own must carry its media embedded.

    Raises CallError when the set as a whole cannot be read.
    """
    check_suffix(name)
    return _collect(io.BytesIO(data), name, _beside_nothing)


def stream_rows(data: bytes, name: str, store: MediaStore) -> Iterator[Record | Refusal]:
    """Yield the rows of `read_bytes` as they are read, their media kept in `store`; raises CallError on the way."""
    check_suffix(name)
    return _rows(io.BytesIO(data), name, _beside_nothing, store)


def check_suffix(name: str, also: str = "") -> None:
    """Raise CallError for a file that is no record set by its name; `also` is what else could be read."""
    if not name.lower().endswith(KINDS):
        raise CallError(f"{quoted(name)} is no record set; read are {also}{', '.join(KINDS)}")


def _collect(file: BinaryIO, name: str, finder: Finder) -> RecordSet:
    store = MediaStore()
    return RecordSet(tuple(_rows(file, name, finder, store)), store)


def _rows(file: BinaryIO, name: str, finder: Finder, store: MediaStore) -> Iterator[Record | Refusal]:
    if name.lower().endswith(".zip"):
        file, name, finder = _unpacked(file, name, store)
    seen: set[str] = set()
    for row in read_rows(file, name):
        yield assemble(row, seen, finder, store)


def _unpacked(file: BinaryIO, name: str, store: MediaStore) -> tuple[BinaryIO, str, Finder]:
    """Return a zip's metadata table, the table's name, and where its media are found."""
    files = unpack(file, name, store)
    folder, table = _table_in(files, name)
    try:
        content = read_media(files[folder + table])
    except RecordError as error:
        raise CallError(f"zip {quoted(name)}: {error}", error.code) from error
    return io.BytesIO(content), table, _in_zip(files, folder)


def _table_of(folder: Path, name: str) -> str:
    found = [table for table in TABLES if (folder / table).exists()]
    if not found:
        inner = sorted(p.parent.name for table in TABLES for p in folder.glob(f"*/{table}"))[:5]
        hint = f"; its folders {', '.join(map(quoted, inner))} do" if inner else ""
        raise CallError(f"folder {quoted(name)} has none of {', '.join(TABLES)}{hint}", "file_missing")
    return _only(found, f"folder {quoted(name)}")


def _table_in(files: dict[str, Media], name: str) -> tuple[str, str]:
    """Return the folder (`""` or `"top/"`) and name of a zip's metadata table."""
    places = [key.rpartition("/") for key in files]
    for folders in ({""}, {folder for folder, _, _ in places if folder and "/" not in folder}):
        found = sorted((folder, table) for folder, _, table in places if folder in folders and table in TABLES)
        if found:
            _only([f"{folder}/{table}".lstrip("/") for folder, table in found], f"zip {quoted(name)}")
            folder, table = found[0]
            return (f"{folder}/" if folder else ""), table
    raise CallError(f"zip {quoted(name)} has none of {', '.join(TABLES)} at its top", "file_missing")


def _only(tables: list[str], where: str) -> str:
    if len(tables) > 1:
        raise CallError(f"{where} has {', '.join(map(quoted, tables))}; keep one")
    return tables[0]


def in_folder(root: Path) -> Finder:
    """Return what finds media by their relative names under `root`, each hashed once."""
    known: dict[str, Media] = {}

    def find(name: str) -> Media:
        if name not in known:
            known[name] = media_from_path(resolve_inside(root, name), name)
        return known[name]

    return find


def _in_zip(files: dict[str, Media], folder: str) -> Finder:
    def find(name: str) -> Media:
        key = folder + "/".join(plain_parts(name))
        if key not in files:
            raise RecordError(f"{quoted(name)} is not in the zip", "file_missing")
        return files[key]

    return find


def _beside_nothing(name: str) -> Media:
    plain_parts(name)
    raise RecordError(
        f"{quoted(name)} did not come with the table; upload a zip, or Parquet with embedded media", "file_missing"
    )
