"""How many entries a recorder took and wrote, in a file that outlives the process: what a crash lost can be said.

LOG/recorders/<run>.<pid>.<random>.txt: one line per count, of fixed width, changed in place through shared memory: the
system keeps what a killed process counted. The recorder holds a lock on its file for as long as it lives.
"""

from __future__ import annotations

import mmap
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fusion_core.log.durable import said_as_call_error

try:
    import fcntl
except ImportError:  # Windows has no such lock; there, a running recorder looks like one that crashed
    fcntl = None  # type: ignore[assignment]

FOLDER = "recorders"
FIELDS = ("recorded", "written", "dropped", "failed", "closed")
_DIGITS = 20
_LINE = max(map(len, FIELDS)) + 1 + _DIGITS + 1


@dataclass(frozen=True)
class Lost:
    """Up to this many entries that a recorder took and, as its process was killed, never wrote."""

    run: str
    process: int
    entries: int


class Tally:
    """The counts of one recorder in one process. Raises CallError where its file cannot be made."""

    def __init__(self, log: Path, run: str) -> None:
        folder = log / FOLDER
        self.path = folder / f"{run}.{os.getpid()}.{secrets.token_hex(4)}.txt"
        with said_as_call_error("the recorder's counts"):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            os.write(self._file, b"".join(_line(field, 0) for field in FIELDS))
            self._shared = mmap.mmap(self._file, _LINE * len(FIELDS))

    def put(self, field: str, count: int) -> None:
        """Set one count; a change of memory, no call of the system."""
        end = _LINE * (FIELDS.index(field) + 1) - 1
        self._shared[end - _DIGITS : end] = b"%020d" % count

    def close(self) -> None:
        """Say that nothing was left over; a file that tells nothing else goes."""
        self.put("closed", 1)
        told = _read(self.path)
        self.let_go()
        if not (told.get("dropped") or told.get("failed")):
            with suppress(OSError):
                self.path.unlink()

    def let_go(self) -> None:
        """Close our hold on the file and leave it as it is: it belongs to the process we were forked from."""
        with suppress(OSError, ValueError):
            self._shared.close()
            os.close(self._file)


def lost_entries(log: Path) -> tuple[Lost, ...]:
    """Return what recorders that were killed lost; at most, as the last part may have been written uncounted."""
    found = []
    for path in sorted((log / FOLDER).glob("*.*.*.txt")):
        told = _read(path)
        entries = told.get("recorded", 0) - told.get("written", 0) - told.get("failed", 0)
        if entries > 0 and not told.get("closed") and not _running(path):
            run, process, _ = path.stem.rsplit(".", 2)
            found.append(Lost(run, int(process) if process.isdigit() else 0, entries))
    return tuple(found)


def _line(field: str, count: int) -> bytes:
    return field.encode().ljust(_LINE - _DIGITS - 1) + b"%020d\n" % count


def _read(path: Path) -> dict[str, int]:
    with suppress(OSError):
        pairs = [line.split() for line in path.read_text("ascii", "replace").splitlines()]
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
    return {}


def _running(path: Path) -> bool:
    if fcntl is None:
        return False
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
