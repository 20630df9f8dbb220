"""Parts of settled numbers: written once, however often and from wherever they are written again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.errors import CallError
from fusion_core.log.parts import Parts, live_parts, write_part
from fusion_core.log.schema import Part, PartKind
from fusion_core.reading.texts import quoted

_KEYS = ["id", "strategy"]


def commit(folder: Path, kind: PartKind, table: pa.Table, number: int) -> None:
    """Make a table part `number`; one that is there already, from a writer that was slow, is taken as it is.

    Raises CallError when what is there holds other rows, and as `write_part` does.
    """
    try:
        write_part(folder, kind, table, number)
    except FileExistsError:
        file = f"{kind}/part-{number:05d}.parquet"
        try:
            same = pq.read_table(folder / file, columns=_KEYS).equals(table.select(_KEYS))
        except (OSError, pa.ArrowException):
            same = False
        if not same:
            raise changed(folder, f"{file} is there and holds other rows") from None


def settled(folder: Path, belong: Callable[[int], Collection[str]]) -> Parts:
    """Return the parts of a run that is to be gone on with; `belong` gives the ids that part k may hold.

    Raises CallError when a part is damaged, or was merged, cut or moved to another number since it was written: to go
    on would write rows twice, or bring erased ones back.
    """
    parts = live_parts(folder)
    if parts.damaged or parts.notes:
        reason = f"{parts.damaged[0].part.file}: {parts.damaged[0].reason}" if parts.damaged else parts.notes[0]
        raise changed(folder, f"it is damaged ({reason})")
    for kind in ("parts", "errors"):
        for number, part in numbered(parts, kind):
            ids = pq.read_table(folder / part.file, columns=["id"])["id"].unique().to_pylist()
            if not set(ids) <= set(belong(number)):
                raise changed(folder, f"{part.file} was merged or moved before the run was finished")
    return parts


def numbered(parts: Parts, kind: PartKind) -> Iterator[tuple[int, Part]]:
    """Yield the live parts of one table with their numbers."""
    for part in parts.of(kind):
        yield int(Path(part.file).stem.removeprefix("part-")), part


def changed(folder: Path, why: str) -> CallError:
    """Return the error of a run that cannot be gone on with."""
    return CallError(f"run {quoted(folder.name)} cannot be gone on with: {why}; give another --run")
