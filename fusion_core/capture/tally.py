"""How many entries a recorder took and wrote, in a file that outlives the process: what a crash lost can be said.

LOG/recorders/<run>.<pid>.<random>.txt: one line per count, of fixed width, changed in place through shared memory: the
system keeps what a killed process counted. The recorder holds a lock on its file for as long as it lives.
"""

from __future__ import annotations

import mmap
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fusion_core.log.durable import said_as_call_error

try:
    import fcntl
except ImportError:  # Windows has no such lock; there, a running recorder looks like one that crashed
    fcntl = None  # type: ignore[assignment]

FOLDER = "recorders"
FIELDS = ("recorded", "written", "dropped", "failed", "left_out", "closed")
_DIGITS = 20
_LINE = max(map(len, FIELDS)) + 1 + _DIGITS + 1
_END = {field: _LINE * (place + 1) - 1 for place, field in enumerate(FIELDS)}


@dataclass(frozen=True)
class Lost:
    """Up to this many entries that a recorder took and, as its process was killed, never wrote."""

    run: str
    process: int
    entries: int


@dataclass(frozen=True)
class Counts:
    """Entries taken into the queue, those in the log, those not taken (full, redacted, closed), those that were none.

    left_out: not chosen by `share`. Entries recorded and neither written nor failed are still in the queue.
    """

    recorded: int = 0
    written: int = 0
    dropped: int = 0
    failed: int = 0
    left_out: int = 0


class Tally:
    """The counts of one recorder in one process; not locked by itself. Without a log it has no file.

    Raises CallError where the file cannot be made.
    """

    def __init__(self, log: Path | None, run: str = "", start: Counts | None = None) -> None:
        self.path = None if log is None else log / FOLDER / f"{run}.{os.getpid()}.{secrets.token_hex(4)}.txt"
        self._counts = {**asdict(start or Counts()), "closed": 0}
        self._file = -1
        if self.path is not None:
            with said_as_call_error("the recorder's counts"):
                with suppress(FileExistsError):  # a file in its place is told by what is opened below it
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                if fcntl is not None:
                    fcntl.flock(self._file, fcntl.LOCK_EX)
                os.write(self._file, b"".join(_line(field, self._counts[field]) for field in FIELDS))
        self._shared = mmap.mmap(self._file, _LINE * len(FIELDS))

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        return Counts(**{field: count for field, count in self._counts.items() if field != "closed"})

    def add(self, field: str, count: int = 1) -> None:
        """Add to one count; a change of memory, no call of the system."""
        self._counts[field] += count
        end = _END[field]
        self._shared[end - _DIGITS : end] = b"%020d" % self._counts[field]

    def close(self) -> None:
        """Say that nothing was left over; a file that tells nothing else goes."""
        self.add("closed")
        self.let_go()
        if self.path is not None and not (self._counts["dropped"] or self._counts["failed"]):
            with suppress(OSError):
                self.path.unlink()

    def let_go(self) -> None:
        """Close our hold on the file and leave it as it is: it may belong to the process we were forked from."""
        with suppress(OSError, ValueError):
            self._shared.close()
            if self._file >= 0:
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
