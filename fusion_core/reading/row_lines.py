"""Rows of a record set as lines of JSON: written by the process that reads it, checked by the server that trusts none.

A line is `[id, text, image, audio, label, timestamp, meta, flags]` for a record, `[id, code, message]` for a refusal;
a medium is `[sha256, name]`, its file in a folder both sides know.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from fusion_core.errors import CODES, CallError
from fusion_core.reading.media import MediaStore
from fusion_core.reading.records import stream_rows
from fusion_core.reading.texts import MAX_TEXT_BYTES, quoted, show_text
from fusion_core.types import Media, Record, Refusal

MAX_TOTAL_BYTES = 500_000_000
MAX_BATCH_BYTES = 50_000_000
BATCH_BYTES = 256_000
MAX_MESSAGE = 10_000
MAX_FLAGS = 2_000

_SHA256 = re.compile(r"[0-9a-f]{64}")

Locate = Callable[[str], Path]


def batches(data: bytes, name: str, folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the set's rows in order as `(rows, lines)`, about 256 kB at a time; its media are written to `folder`.

    Raises CallError when the set as a whole cannot be read, `file_too_large` above 500 MB of rows.
    """
    lines: list[bytes] = []
    size = total = 0
    for row in stream_rows(data, name, MediaStore(folder)):
        lines.append(encode_row(row))
        size, total = size + len(lines[-1]), total + len(lines[-1])
        if total > MAX_TOTAL_BYTES or size > MAX_BATCH_BYTES:
            raise CallError(f"{quoted(name)} holds more text than is read in one set; split it", "file_too_large")
        if size >= BATCH_BYTES:
            yield len(lines), b"".join(lines)
            lines, size = [], 0
    yield len(lines), b"".join(lines)


def encode_row(row: Record | Refusal) -> bytes:
    """Return a row as one line."""
    cells: list[object]
    if isinstance(row, Refusal):
        cells = [row.id, row.code, row.message]
    else:
        image, audio = ([m.sha256, m.name] if m else None for m in (row.image, row.audio))
        time = row.timestamp.isoformat() if row.timestamp else None
        cells = [row.id, row.text, image, audio, row.label, time, dict(row.meta), row.flags]
    text = json.dumps(cells, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def decode_row(line: bytes, locate: Locate) -> Record | Refusal:
    """Return the row of a line; `locate` names the checked file of a hash. Raises ValueError for any other line."""
    try:
        cells = json.loads(line, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested") from error
    if isinstance(cells, list) and len(cells) == 3:
        id, code, message = cells
        if _text(code) not in CODES:
            raise ValueError("an unknown code")
        return Refusal(_text(id), code, show_text(_text(message, MAX_MESSAGE)))
    if not isinstance(cells, list) or len(cells) != 8:
        raise ValueError("no row")
    id, text, image, audio, label, time, meta, flags = cells
    return Record(
        id=_text(id),
        text=_text(text) if text is not None else None,
        image=_media(image, locate),
        audio=_media(audio, locate),
        label=_text(label) if label is not None else None,
        timestamp=_moment(time) if time is not None else None,
        meta=_meta(meta),
        flags=_flags(flags),
    )


def _text(value: object, limit: int = MAX_TEXT_BYTES) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError("no text, or a long one")
    return value


def _media(value: object, locate: Locate) -> Media | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("no medium")
    sha256, name = _text(value[0]), _text(value[1])
    if not _SHA256.fullmatch(sha256):
        raise ValueError("no hash")
    return Media(sha256, name, path=locate(sha256))


def _moment(value: object) -> datetime:
    found = datetime.fromisoformat(_text(value, 40))
    if found.tzinfo is not None:
        raise ValueError("no naive time")
    return found


def _meta(value: object) -> dict[str, str | float]:
    if not isinstance(value, dict):
        raise ValueError("no slices")
    for key, cell in value.items():
        _text(key)
        if not isinstance(cell, float):
            _text(cell)
        elif not math.isfinite(cell):  # `1e999` is JSON
            raise ValueError("no finite number")
    return value


def _flags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_FLAGS:
        raise ValueError("no flags")
    return tuple(_text(flag, MAX_MESSAGE) for flag in value)


def _refuse(word: str) -> float:
    raise ValueError(f"holds {word}")
