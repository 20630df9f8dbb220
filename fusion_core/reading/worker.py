"""The process that reads a stranger's files, so that a hostile one costs this process and not the server.

Run by `pool.Pool` as `python -m fusion_core.reading.worker MEMORY FILE_BYTES`, both in bytes. A request is one frame
(see `wire`); its answer is one frame for a picture or clip, frames of rows for a record set, or an error's code.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fusion_core.errors import FusionError
from fusion_core.reading import wire
from fusion_core.reading.clips import decode_audio
from fusion_core.reading.pictures import decode_image
from fusion_core.reading.texts import quoted

GRACE_SECONDS = 5

Frame = tuple[dict[str, object], bytes | memoryview]


def main(arguments: list[str]) -> int:
    """Answer requests until standard input ends, which it does when the server is gone."""
    memory, file_bytes = map(int, arguments)
    requests, answers = _take_streams()
    limit(memory, file_bytes)
    while True:
        try:
            header, size = wire.receive(requests)
            _serve(header, requests.read(size), answers)
        except (wire.WireError, BrokenPipeError):
            return 0


def limit(memory: int, file_bytes: int) -> None:
    """Bound this process for good: bytes of address space, bytes of any file it writes, no core dump.

    Does without where the system has no such limits (Windows), or keeps a stricter one that is already set.
    """
    with contextlib.suppress(OSError):  # Linux: when memory runs out, this process goes and the server stays
        Path("/proc/self/oom_score_adj").write_text("900")
    try:
        import resource
    except ImportError:
        return
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


def _take_streams() -> tuple[io.BufferedReader, io.FileIO]:
    """Return the two streams to the server and leave nothing in their old place, where a decoder could print."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return requests, answers


def _serve(header: dict[str, Any], data: bytes, answers: io.FileIO) -> None:
    number, name = header["number"], header["name"]
    _alarm(header["seconds"] + GRACE_SECONDS)
    try:
        for answer, body in _frames(header["task"], data, name, header["folder"]):
            wire.send(answers, {**answer, "number": number}, body)
    except FusionError as error:
        wire.send(answers, {"number": number, "error": error.code, "message": str(error)})
    except MemoryError:
        message = f"{quoted(name)} needs more memory than there is"
        wire.send(answers, {"number": number, "error": "resource_exhausted", "message": message})
    _alarm(0)


def _alarm(seconds: int) -> None:
    """Let the system end this process if it outlives its time: the server kills it sooner, unless it is gone itself."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _frames(task: str, data: bytes, name: str, folder: str) -> Iterator[Frame]:
    if task == "image":
        picture = decode_image(data, name)
        yield _described(picture.pixels.shape, "uint8", picture.notes), picture.pixels.data
    elif task == "audio":
        clip = decode_audio(data, name)
        yield {**_described(clip.samples.shape, "float32", clip.notes), "rate": clip.rate}, clip.samples.data
    else:
        from fusion_core.reading import row_lines  # what decodes media need not wait for it

        total = 0
        for count, lines in row_lines.batches(data, name, Path(folder)):
            total += count
            yield {"rows": count}, lines
        yield {"total": total}, b""


def _described(shape: tuple[int, ...], dtype: str, notes: tuple[str, ...]) -> dict[str, object]:
    return {"shape": shape, "dtype": dtype, "notes": notes}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
