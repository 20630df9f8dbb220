"""Decode what strangers send in a bounded child process, so that a hostile file costs a worker, not the server.

The functions have the names, results and errors of those they stand for in `pictures`, `clips` and `records`. What the
child answers is checked like any other input: it has read the file, and may be in the file's hands.
"""

from __future__ import annotations

import io
import math
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fusion_core.errors import CallError, RecordError
from fusion_core.reading import clips, pictures, row_lines
from fusion_core.reading.child import Child, ChildFailed, Request
from fusion_core.reading.clips import Clip
from fusion_core.reading.media import MAX_FILE_BYTES, PrivateFolder
from fusion_core.reading.pictures import Picture
from fusion_core.reading.pool import Limits, Pool
from fusion_core.reading.records import RecordSet, check_suffix
from fusion_core.reading.texts import quoted
from fusion_core.types import Record, Refusal

#: Measured: the largest legal image (float TIFF, 40 Mpx) takes 1.9 GB, the largest legal sound (600 s at 192 kHz in
#: eight channels of FLAC) 1.8 GB and half a minute.
MEDIA = Pool(Limits(seconds=60, memory=2_500_000_000, file_bytes=0, children=2, requests=2_000))
SETS = Pool(Limits(seconds=120, memory=4_000_000_000, file_bytes=MAX_FILE_BYTES, children=2, requests=1))

MAX_NOTES = 20
MAX_NOTE = 1_000

T = TypeVar("T")


def decode_image(data: bytes, name: str, pool: Pool = MEDIA) -> Picture:
    """Decode as `pictures.decode_image` does, in a child: `uint8 [H, W, 3]`.

    Raises RecordError with the same codes; `resource_exhausted` also for what kills the child or takes too long.
    """
    pictures.check_kind(data, name)
    return _run(pool, Request("image", data, name), _picture, f"image {quoted(name)}")


def decode_audio(data: bytes, name: str, pool: Pool = MEDIA) -> Clip:
    """Decode as `clips.decode_audio` does, in a child: mono `float32 [N]`.

    Raises RecordError with the same codes; `resource_exhausted` also for what kills the child or takes too long.
    """
    clips.check_kind(data, name)
    return _run(pool, Request("audio", data, name), _clip, f"audio {quoted(name)}")


def read_bytes(data: bytes, name: str, pool: Pool = SETS) -> RecordSet:
    """Read an uploaded record set as `records.read_bytes` does, in a child of its own.

    Its media lie in a private folder that goes with the set. Raises CallError when the set as a whole cannot be read.
    """
    check_suffix(name)
    folder = PrivateFolder()
    request = Request("set", data, name, str(folder.path))
    try:
        rows = _run(pool, request, lambda child: _rows(child, folder.path), quoted(name))
    except RecordError as error:
        raise CallError(str(error), error.code) from error
    return RecordSet(rows, folder)


def _run(pool: Pool, request: Request, read: Callable[[Child], T], what: str) -> T:
    try:
        return pool.run(request, read)
    except ChildFailed as failure:
        why = f"took more than {pool.limits.seconds:g} s" if failure.slow else "ended the process that read it"
        raise RecordError(f"{what} {why} and is not read", "resource_exhausted") from failure
    except MemoryError as error:
        raise RecordError(f"{what} needs more memory than there is", "resource_exhausted") from error


def _picture(child: Child) -> Picture:
    header, size = child.answer()
    height, width, depth = _shape(header, 3, "uint8")
    if depth != 3 or height * width > pictures.MAX_PIXELS or size != height * width * 3:
        raise ValueError("no picture")
    notes = _notes(header)
    pixels = np.empty((height, width, 3), np.uint8)
    child.fill(pixels.data.cast("B"))
    return Picture(pixels, notes)


def _clip(child: Child) -> Clip:
    header, size = child.answer()
    (count,) = _shape(header, 1, "float32")
    rate = header.get("rate")
    if not isinstance(rate, int) or not clips.RATES[0] <= rate <= clips.RATES[1]:
        raise ValueError("no rate")
    if count > clips.MAX_SECONDS * rate or size != count * 4:
        raise ValueError("no clip")
    notes = _notes(header)
    samples = np.empty(count, np.float32)
    child.fill(samples.data.cast("B"))
    if not math.isfinite(samples.min()) or not math.isfinite(samples.max()):
        raise ValueError("no finite samples")
    return Clip(samples, rate, notes)


def _rows(child: Child, folder: Path) -> tuple[Record | Refusal, ...]:
    locate = _locator(folder)
    rows: list[Record | Refusal] = []
    received = 0
    while True:
        header, size = child.answer()
        if "total" in header:
            if header["total"] != len(rows) or size:
                raise ValueError("rows are missing")
            return tuple(rows)
        received += size
        if size > row_lines.MAX_BATCH_BYTES or received > row_lines.MAX_TOTAL_BYTES:
            raise ValueError("more than a set may hold")
        lines = bytearray(size)
        child.fill(memoryview(lines))
        rows += [row_lines.decode_row(line, locate) for line in io.BytesIO(lines)]


def _locator(folder: Path) -> row_lines.Locate:
    """Return what finds the file of a hash in `folder`; ValueError when it is no plain file there."""
    known: dict[str, Path] = {}

    def locate(sha256: str) -> Path:
        if sha256 not in known:
            path = folder / sha256
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
                raise ValueError("no media file")
            known[sha256] = path
        return known[sha256]

    return locate


def _shape(header: dict[str, Any], dimensions: int, dtype: str) -> tuple[int, ...]:
    shape = header.get("shape")
    if header.get("dtype") != dtype or not isinstance(shape, list) or len(shape) != dimensions:
        raise ValueError("no array")
    if not all(type(length) is int and length > 0 for length in shape):
        raise ValueError("no array")
    return tuple(shape)


def _notes(header: dict[str, Any]) -> tuple[str, ...]:
    notes = header.get("notes")
    if not isinstance(notes, list) or len(notes) > MAX_NOTES:
        raise ValueError("no notes")
    if not all(isinstance(note, str) and len(note) <= MAX_NOTE for note in notes):
        raise ValueError("no notes")
    return tuple(notes)
