"""MANIFEST.jsonl: the one list of a run's live parts. A part that it does not name is not in the log."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fusion_core.errors import CallError, FusionError
from fusion_core.log.durable import replace_file, said_as_call_error
from fusion_core.log.schema import Part
from fusion_core.reading.paths import open_regular
from fusion_core.reading.texts import quoted

try:
    import fcntl
except ImportError:  # Windows has no such lock; there, one process at a time keeps a run
    fcntl = None  # type: ignore[assignment]

MANIFEST, LOCK = "MANIFEST.jsonl", "MANIFEST.lock"
MAX_MANIFEST_BYTES = 64_000_000
_FILE = re.compile(r"(parts|errors)/part-[0-9]{5,9}\.parquet")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """The parts a manifest names, each once; what could not be read of it, in words; its damaged lines as they are."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    damaged: tuple[bytes, ...] = ()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other writer of the run waiting; the system lets go if this process dies. Not to be nested."""
    with said_as_call_error("the manifest's lock"):
        number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if fcntl is not None:
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        if fcntl is not None:  # closing is not enough: a child forked meanwhile has our lock open, too
            fcntl.flock(number, fcntl.LOCK_UN)
        os.close(number)


def append(folder: Path, part: Part) -> None:
    """Add one line, and make it last. Call with the run `locked`.

    Raises CallError `resource_exhausted` on a full disk, with no line added.
    """
    path = folder / MANIFEST
    with said_as_call_error(quoted(MANIFEST)):
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            size = os.fstat(number).st_size
            # A line that a killed writer tore is closed first, so that it cannot swallow this one.
            torn = size > 0 and _last_byte(path, size) != b"\n"
            _append_whole(number, size, (b"\n" if torn else b"") + _line(part))
        finally:
            os.close(number)


def read(folder: Path) -> Manifest:
    """Return the parts the run's manifest names; a torn or damaged line is left out and said.

    Raises CallError if the manifest cannot be read at all.
    """
    path = folder / MANIFEST
    if not path.exists():
        return Manifest(())
    try:
        with open_regular(path, MANIFEST) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except (OSError, FusionError) as error:
        raise CallError(f"{MANIFEST} of run {quoted(folder.name)} cannot be read: {error}") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise CallError(f"{MANIFEST} of run {quoted(folder.name)} is larger than {MAX_MANIFEST_BYTES:,} bytes")
    return _parsed(data)


def rewrite(folder: Path, parts: Iterable[Part], damaged: Iterable[bytes] = ()) -> None:
    """Put these parts in the place of all lines, at once, and keep damaged lines. Call with the run `locked`."""
    lines = [*(_line(part) for part in parts), *(line + b"\n" for line in damaged)]
    replace_file(folder / MANIFEST, b"".join(lines))


def _parsed(data: bytes) -> Manifest:
    found: dict[str, Part] = {}
    notes: list[str] = []
    damaged: list[bytes] = []
    *lines, rest = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        part = _part(line)
        if part is None:
            if line.strip():
                damaged.append(line)
                notes.append(f"line {number} of {MANIFEST} is damaged; the part it named is not read")
        elif found.setdefault(part.file, part) != part:
            notes.append(f"line {number} of {MANIFEST} contradicts an earlier line on {part.file}; the earlier counts")
    if rest:
        damaged.append(rest)
        notes.append(f"the last line of {MANIFEST} is torn (its writer was stopped); the part it named is not read")
    return Manifest(tuple(found.values()), tuple(notes), tuple(damaged))


def _part(line: bytes) -> Part | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or set(entry) != {"file", "kind", "rows", "bytes", "sha256"}:
        return None
    texts, counts = [entry["file"], entry["kind"], entry["sha256"]], [entry["rows"], entry["bytes"]]
    if not all(isinstance(text, str) for text in texts) or not all(type(n) is int and n > 0 for n in counts):
        return None
    file = _FILE.fullmatch(entry["file"])
    return Part(**entry) if file and file[1] == entry["kind"] and _SHA256.fullmatch(entry["sha256"]) else None


def _line(part: Part) -> bytes:
    return json.dumps(asdict(part), separators=(",", ":")).encode() + b"\n"


def _last_byte(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1)


def _append_whole(number: int, size: int, line: bytes) -> None:
    try:
        written = os.write(number, line)
        if written < len(line):  # a full disk may take the half of a line
            os.write(number, line[written:])
        os.fsync(number)
    except OSError:
        os.ftruncate(number, size)
        raise
