"""Parts of a run: written whole or not at all, live once the manifest names them, checked before they are read."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.errors import CallError, FusionError
from fusion_core.log import manifest
from fusion_core.log.durable import HashedFile, said_as_call_error, write_new
from fusion_core.log.kept import keep_media, media_path
from fusion_core.log.runs import create_run, read_run, run_folder, runs
from fusion_core.log.schema import Part, PartKind
from fusion_core.log.tables import errors_table, rows_table, schema_fault
from fusion_core.reading.paths import open_regular
from fusion_core.reading.texts import quoted

__all__ = [
    "Damaged",
    "Parts",
    "create_run",
    "errors_table",
    "keep_media",
    "live_parts",
    "media_path",
    "next_number",
    "orphans",
    "place_part",
    "read_run",
    "rows_table",
    "run_folder",
    "runs",
    "write_part",
]

#: Rows that are compressed together. Smaller groups let a filter skip more; larger ones compress better.
GROUP_ROWS = 8_192
MOST_PARTS = 1_000_000_000
_CHUNK = 1 << 20
_SETTLED_SECONDS = 2.0


@dataclass(frozen=True)
class Damaged:
    """A part that the manifest names and that is never read: it is gone, cut, changed or not of the schema."""

    part: Part
    reason: str


@dataclass(frozen=True)
class Parts:
    """The parts of a run that can be read, those that cannot, and what could not be read of the manifest."""

    live: tuple[Part, ...]
    damaged: tuple[Damaged, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, kind: PartKind) -> tuple[Part, ...]:
        """Return the live parts of one table."""
        return tuple(part for part in self.live if part.kind == kind)

    @property
    def said(self) -> str:
        """How much of the run can be read: "3 of 4 parts"."""
        return f"{len(self.live)} of {len(self.live) + len(self.damaged)} parts"


def write_part(folder: Path, kind: PartKind, table: pa.Table, number: int) -> Part:
    """Write a part of the run in `folder` and make it live: all of its rows, or none, are in the log afterwards.

    Within the part, rows are put in the order of their times, those without one last. Writers of one run wait for each
    other. A part that a killed writer left under this number, named by no line, is written over.

    Raises FileExistsError if there is another part of this number, CallError for an empty table or one of other
    columns, and `resource_exhausted` on a full disk.
    """
    with manifest.locked(folder):
        part = place_part(folder, kind, table, number)
        try:
            manifest.append(folder, part)
        except CallError:
            (folder / part.file).unlink(missing_ok=True)  # not in the log, and its number is free again
            raise
    return part


def place_part(folder: Path, kind: PartKind, table: pa.Table, number: int) -> Part:
    """Write a part's file without making it live. Call with the run `locked`; for the rest, see `write_part`."""
    fault = schema_fault(table.schema, kind)
    if fault or not table.num_rows:
        raise CallError(f"a part for {kind} is refused: {fault or 'it has no rows'}")
    if not 0 <= number < MOST_PARTS:
        raise CallError(f"part number {number} is refused; allowed are 0 to {MOST_PARTS - 1:,}")
    name = f"{kind}/part-{number:05d}.parquet"
    # By time, so that the newest rows of a part lie together and a span of time leaves out most of it; ties stay.
    ordered = table.take(pc.sort_indices(table, [("timestamp", "ascending")]))

    def write(file: HashedFile) -> None:
        pq.write_table(ordered, file, GROUP_ROWS, compression="zstd", write_page_checksum=True, store_schema=True)

    with said_as_call_error(quoted(kind)):
        (folder / kind).mkdir(exist_ok=True)
        if (folder / name).exists() and name in orphans(folder):
            (folder / name).unlink()
    file = write_new(folder / name, write)
    return Part(name, kind, table.num_rows, file.size, file.sha256)


def orphans(folder: Path) -> tuple[str, ...]:
    """Return the files of killed writers: parts that no line names, and temporary ones. Call with the run `locked`.

    With a damaged or torn line in the manifest nothing counts as one, as that line may have named it.
    """
    listed = manifest.read(folder)
    if listed.damaged:
        return ()
    named = {part.file for part in listed.parts}
    there = (f"{kind}/{path.name}" for kind in ("parts", "errors") for path in (folder / kind).glob("*part-*.parquet*"))
    return tuple(sorted(set(there) - named))


def next_number(folder: Path, kind: PartKind) -> int:
    """Return the first number above all parts of this kind, live or not; another writer may take it first."""
    named = {part.file for part in manifest.read(folder).parts if part.kind == kind}
    there = {path.name for path in (folder / kind).glob("part-*.parquet")}
    numbers = [name.rpartition("-")[2].removesuffix(".parquet") for name in named | there]
    return max((int(n) for n in numbers if n.isascii() and n.isdigit()), default=-1) + 1


def live_parts(folder: Path) -> Parts:
    """Return the parts of the run in `folder` that its manifest names and whose files are what it says.

    Each file is hashed once per process. Raises CallError if the manifest cannot be read.
    """
    listed = manifest.read(folder)
    faults = [(part, _fault(folder, part)) for part in listed.parts]
    damaged = tuple(Damaged(part, reason) for part, reason in faults if reason)
    return Parts(tuple(part for part, reason in faults if not reason), damaged, listed.notes)


@dataclass(frozen=True)
class _Mark:
    """What tells one state of a file from another without reading it."""

    path: str
    size: int
    modified: int
    changed: int
    inode: int


_SEEN: dict[_Mark, tuple[Part, str | None]] = {}


def _fault(folder: Path, part: Part) -> str | None:
    path = folder / part.file
    try:
        there = path.lstat()
    except OSError:
        return "it is missing"
    if there.st_size != part.bytes:
        return f"it has {there.st_size:,} bytes instead of {part.bytes:,}"
    mark = _Mark(str(path), there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino)
    known = _SEEN.get(mark)
    if known and known[0] == part:
        return known[1]
    reason = _read_fault(path, part)
    # Two changes within one tick of the clock leave the same mark, so a file that has just changed is not remembered.
    if time.time() - there.st_ctime > _SETTLED_SECONDS:
        _SEEN[mark] = (part, reason)
    return reason


def _read_fault(path: Path, part: Part) -> str | None:
    digest = hashlib.sha256()
    try:
        with open_regular(path, part.file) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            if digest.hexdigest() != part.sha256:
                return "its SHA-256 is not that of the manifest"
            found = pq.ParquetFile(file)
            if found.metadata.num_rows != part.rows:
                return f"it has {found.metadata.num_rows:,} rows instead of {part.rows:,}"
            return schema_fault(cast("pa.Schema", found.schema_arrow), part.kind)
    except (FusionError, OSError, pa.ArrowException) as error:
        return f"it cannot be read: {error}"
