"""Upkeep of a prediction log: small parts into large ones, old rows out, one record out.

A kill at any moment loses no row and repeats none: a new part is linked, then the manifest is replaced at once, and
only then old parts go.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.errors import CallError, FusionError
from fusion_core.log import manifest
from fusion_core.log.diagnosed import forget
from fusion_core.log.durable import sync_folder
from fusion_core.log.kept import drop_media, dropping_media
from fusion_core.log.parts import Damaged, live_parts, next_number, orphans, place_part
from fusion_core.log.runs import read_run, run_folder, runs
from fusion_core.log.schema import FEWEST_BYTES, FEWEST_ROWS, MOST_BYTES, MOST_ROWS, Part, PartKind
from fusion_core.log.tables import naive
from fusion_core.reading.paths import open_regular

KINDS: tuple[PartKind, ...] = ("parts", "errors")
MEDIA = ("image", "audio")


@dataclass(frozen=True)
class Kept:
    """What an upkeep did. damaged: parts that could not be read and were left as they are, by run."""

    parts_before: int
    parts_after: int
    rows_removed: int
    media_removed: tuple[str, ...]
    damaged: tuple[tuple[str, Damaged], ...]
    notes: tuple[str, ...] = ()


def compact(log: Path, run: str, grace: float = 0.0) -> Kept:
    """Put parts of fewer than 50,000 rows and 32 MB together, in their order, to parts of at most 250,000; sweep up.

    grace: seconds that the files of the old parts stay for whoever is reading them, until the next upkeep. Raises
    CallError for a run that is not there, `resource_exhausted` on a full disk with the log as it was.
    """
    folder = _folder(log, run)
    before = len(live_parts(folder).live)
    for kind in KINDS:
        while _merge(folder, kind, keep=grace > 0):
            pass  # writers get their turn between two merges
    with manifest.locked(folder):
        _sweep(folder, grace)
    return _kept(log, (run,), before, 0, ())


def small_parts(log: Path, run: str) -> int:
    """Return how many parts of a run `compact` would put together, by its manifest alone."""
    found = manifest.read(run_folder(log, run)).parts
    return sum(_is_small(part) for part in found)


def retain(log: Path, run: str, before: datetime) -> Kept:
    """Drop the rows of a run that are older than `before` (naive is UTC), and media no row of the log names any more.

    Rows without a time stay. Raises as `compact`.
    """
    moment = pa.scalar(naive(before), pa.timestamp("us"))
    return _without(log, (run,), "timestamp", lambda times: pc.less(times, moment))


def erase(log: Path, *identities: str) -> Kept:
    """Drop the rows of records from every run, and their media if no other row of the log names them.

    Parts that are damaged cannot be searched: they are named in the result, and may still hold the records.
    Raises as `compact`.
    """
    wanted = pa.array(identities, pa.string())
    return _without(log, runs(log), "id", lambda ids: pc.is_in(ids, wanted))


def _without(log: Path, names: Sequence[str], column: str, goes: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> Kept:
    folders = [_folder(log, name) for name in names]
    before = sum(len(live_parts(folder).live) for folder in folders)
    removed, media = 0, set[str]()
    for folder in folders:
        gone = set[str]()
        with manifest.locked(folder):
            for part in live_parts(folder).live:
                mask = pc.fill_null(goes(read_part(folder, part, [column])[column]), False)
                if not pc.any(mask).as_py():
                    continue
                table = read_part(folder, part)
                dropped = table.filter(mask)
                removed += dropped.num_rows
                gone |= set(dropped["id"].to_pylist())
                media |= _media(dropped)
                _swap(folder, (part,), table.filter(pc.invert(mask)))
            forget(folder, gone)
            _sweep(folder)
    return _kept(log, names, before, removed, *_drop_media(log, media))


def read_part(folder: Path, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a live part, all columns or some; CallError if it went since it was found live."""
    try:
        with open_regular(folder / part.file, part.file) as file:
            return pq.ParquetFile(file).read(columns)
    except (OSError, FusionError, pa.ArrowException) as error:
        raise CallError(f"{part.file} of run {folder.name} cannot be read: {error}") from error


def _merge(folder: Path, kind: PartKind, keep: bool) -> bool:
    """Merge the first parts that fit together; False once none are left."""
    with manifest.locked(folder):
        group = next(_groups([p for p in live_parts(folder).of(kind) if _is_small(p)]), None)
        if group is None:
            return False
        table = pa.concat_tables([read_part(folder, p) for p in group], promote_options="default")
        _swap(folder, group, table, keep)
        return True


def _is_small(part: Part) -> bool:
    return part.rows < FEWEST_ROWS and part.bytes < FEWEST_BYTES


def _groups(small: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    group: list[Part] = []
    for part in small:
        together = [*group, part]
        if sum(p.rows for p in together) > MOST_ROWS or sum(p.bytes for p in together) > MOST_BYTES:
            yield tuple(group)
            group = []
        group.append(part)
    if len(group) > 1:
        yield tuple(group)


def _swap(folder: Path, old: Sequence[Part], table: pa.Table, keep: bool = False) -> None:
    """Put a table in the place of parts of one kind; `keep` leaves their files. Call with the run `locked`."""
    kind = old[0].kind
    new = [place_part(folder, kind, table, next_number(folder, kind))] if table.num_rows else []
    listed = manifest.read(folder)
    at = listed.parts.index(old[0])
    lines = [*listed.parts[:at], *new, *listed.parts[at:]]
    manifest.rewrite(folder, [part for part in lines if part not in old], listed.damaged)
    for part in old:
        if keep:
            os.utime(folder / part.file)  # from now on it is not live: see `_sweep`
        else:
            (folder / part.file).unlink(missing_ok=True)
    sync_folder(folder / kind)


def _sweep(folder: Path, grace: float = 0.0) -> None:
    """Remove what killed writers and merges left, which may hold rows that are to be gone. Call with the run `locked`.

    grace: seconds for which files stay after they were last live.
    """
    now = time.time()
    for name in orphans(folder):
        if not grace or now - (folder / name).stat().st_mtime > grace:
            (folder / name).unlink(missing_ok=True)


def _media(table: pa.Table) -> set[str]:
    present = [name for name in MEDIA if name in table.column_names]
    return {value for name in present for value in pc.unique(table[name]).to_pylist() if value is not None}


def _drop_media(log: Path, media: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop those of the media that no row names; return them, and notes on those that must wait."""
    if not media:
        return (), ()
    gone, left = list[str](), list[str]()
    with dropping_media(log):
        for name in sorted(media - _named(log)):
            try:
                (gone if drop_media(log, name) else left).append(name)
            except (FusionError, FileNotFoundError):
                continue  # a name that no media of a log can have, or media that went before
    return tuple(gone), tuple(f"{name} was kept within the last hour and stays" for name in left)


def _named(log: Path) -> set[str]:
    named = set[str]()
    for name in runs(log):
        folder = _folder(log, name)
        with manifest.locked(folder):  # its parts are not merged away meanwhile
            for part in live_parts(folder).of("parts"):
                named |= _media(read_part(folder, part, MEDIA))
    return named


def _folder(log: Path, run: str) -> Path:
    read_run(log, run)
    return run_folder(log, run)


def _kept(
    log: Path, names: Sequence[str], before: int, removed: int, media: tuple[str, ...], more: tuple[str, ...] = ()
) -> Kept:
    found = [(name, live_parts(_folder(log, name))) for name in names]
    damaged = tuple((name, one) for name, parts in found for one in parts.damaged)
    notes = (*more, *(f"run {name}: {note}" for name, parts in found for note in parts.notes))
    return Kept(before, sum(len(parts.live) for _, parts in found), removed, media, damaged, notes)
