"""Parts of settled numbers: written once, however often and from wherever they are written again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.errors import CallError
from fusion_core.log import manifest
from fusion_core.log.parts import live_parts, write_part
from fusion_core.log.schema import Part, PartKind

_KEYS = ["id", "strategy"]


def commit(folder: Path, kind: PartKind, table: pa.Table, number: int) -> None:
    """Make a table part `number`; one that is there already, from a writer that was killed or slow, is taken as it is.

    Raises CallError when what is there holds other rows, and as `write_part` does.
    """
    try:
        write_part(folder, kind, table, number)
    except FileExistsError:
        _adopt(folder, kind, table, number)


def _adopt(folder: Path, kind: PartKind, table: pa.Table, number: int) -> None:
    """Name a file in the manifest whose writer was stopped just before it did."""
    file = f"{kind}/part-{number:05d}.parquet"
    path = folder / file
    try:
        same = pq.read_table(path, columns=_KEYS).equals(table.select(_KEYS))
        data = path.read_bytes()
    except (OSError, pa.ArrowException):
        same = False
    if not same:
        raise CallError(f"{file} of run {folder.name!r} is there and holds other rows; give another --run")
    if not any(part.file == file for part in live_parts(folder).live):
        part = Part(file, kind, table.num_rows, len(data), hashlib.sha256(data).hexdigest())
        manifest.append(folder, part)
