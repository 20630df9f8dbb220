"""Frames between the server and a process that reads for it: a JSON header and raw bytes, their lengths first."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

MAX_HEADER_BYTES = 1_000_000

_LENGTHS = struct.Struct("<IQ")


class WireError(Exception):
    """The other side is gone, or sent what is no frame."""


def send(stream: io.RawIOBase, header: Mapping[str, object], body: bytes | memoryview = b"") -> None:
    """Write one frame; raises OSError when nobody reads it any more."""
    head = json.dumps(header).encode()
    view = memoryview(body).cast("B")
    _write(stream, memoryview(_LENGTHS.pack(len(head), len(view)) + head))
    _write(stream, view)


def receive(stream: io.RawIOBase | io.BufferedIOBase) -> tuple[dict[str, Any], int]:
    """Return the next frame's header and how many bytes of body follow it (read them before the next frame).

    Raises WireError at the end of the stream, or for what is no JSON object of at most 1 MB.
    """
    lengths = bytearray(_LENGTHS.size)
    fill(stream, memoryview(lengths))
    size, body = _LENGTHS.unpack(lengths)
    if size > MAX_HEADER_BYTES:
        raise WireError(f"a header of {size:,} bytes")
    head = bytearray(size)
    fill(stream, memoryview(head))
    try:
        header = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise WireError("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise WireError("a header that is no object")
    return header, body


def fill(stream: io.RawIOBase | io.BufferedIOBase, view: memoryview) -> None:
    """Read exactly as many bytes as `view` holds, straight into it; raises WireError when the stream ends before."""
    while view:
        count = stream.readinto(view)
        if not count:
            raise WireError("the stream ended")
        view = view[count:]


def _write(stream: io.RawIOBase, view: memoryview) -> None:
    while view:
        view = view[stream.write(view) or 0 :]
