"""One process that reads a stranger's files for the server, and the two pipes to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fusion_core.errors import CODES, RecordError
from fusion_core.reading import wire
from fusion_core.reading.texts import show_text

MAX_MESSAGE = 10_000

_ROOT = Path(__file__).resolve().parents[2]
#: What Python needs to find itself and its packages; a child has no business with the rest, tokens least of all.
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "HOME", "LD_LIBRARY_PATH", "SYSTEMROOT")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}

T = TypeVar("T")


class ChildFailed(Exception):
    """A child died, outlived its time (`slow`) or answered nonsense."""

    def __init__(self, why: str, slow: bool = False) -> None:
        super().__init__(why)
        self.slow = slow


@dataclass(frozen=True)
class Request:
    """One thing to read: the worker's task, the file's bytes and name, and the folder that unpacked files go to."""

    task: str
    data: bytes
    name: str
    folder: str = ""


class Child:
    """A running worker. One thread at a time may use it, and none after ChildFailed."""

    def __init__(self, command: Sequence[str], owner: str = "") -> None:
        self.owner = owner
        try:
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in a terminal is for the server, which takes its children along
            )
        except OSError as error:
            raise ChildFailed("no process could be started") from error
        self.served = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def serve(self, request: Request, read: Callable[[Child], T], seconds: float) -> T:
        """Send a request and return what `read` makes of the answer, killing the process after `seconds`.

        Raises ChildFailed, or the RecordError that the child answered with.
        """
        slow = threading.Event()
        timer = threading.Timer(seconds, self._give_up, [slow])
        timer.daemon = True
        timer.start()
        self.served += 1
        try:
            self._send(request, seconds)
            return read(self)
        except (wire.WireError, OSError, ValueError) as error:
            raise ChildFailed(str(error), slow.is_set()) from error
        finally:
            timer.cancel()

    def answer(self) -> tuple[dict[str, Any], int]:
        """Return the next frame's header and the size of its body; raises the error that it names instead."""
        header, size = wire.receive(self._process.stdout)  # type: ignore[arg-type]
        if header.get("number") != self.served:
            raise ValueError("an answer to something else")
        if "error" in header:
            code, message = header["error"], header.get("message")
            if not isinstance(code, str) or code not in CODES or not isinstance(message, str) or size:
                raise ValueError("an error that is none")
            raise RecordError(show_text(message[:MAX_MESSAGE]).replace("\n", " "), code)
        return header, size

    def fill(self, view: memoryview) -> None:
        """Read a body, or a part of it, straight into `view`."""
        wire.fill(self._process.stdout, view)  # type: ignore[arg-type]

    def kill(self) -> None:
        """End the process; whoever waits for its answer sees it end."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """End the process and let go of it."""
        self.kill()
        self.let_go()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def let_go(self) -> None:
        """Close our ends of the pipes: a worker whose requests end, ends."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _send(self, request: Request, seconds: float) -> None:
        header = {
            "number": self.served,
            "task": request.task,
            "name": _short(request.name),
            "folder": request.folder,
            "seconds": int(seconds) + 1,
        }
        wire.send(self._process.stdin, header, request.data)  # type: ignore[arg-type]

    def _give_up(self, slow: threading.Event) -> None:
        slow.set()
        self.kill()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    paths = [str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)}


def _short(name: str) -> str:
    """Cut what no message shows of a name, and keep its suffix."""
    return name if len(name) <= 1_000 else name[:900] + name[-100:]
