"""How a process ends or doubles while a recorder is open: what waits is written by whoever took it, once."""

from __future__ import annotations

import atexit
import os
import weakref
from multiprocessing.util import Finalize
from typing import Protocol


class Closing(Protocol):
    """What a recorder is to the end of its process."""

    def close(self) -> None:
        """Write what waits."""

    def forked(self) -> None:
        """Start afresh in a forked child."""


_OPEN: weakref.WeakSet[Closing] = weakref.WeakSet()


def begin_afresh_in_children(recorder: Closing) -> None:
    """Have `forked` called in every child that is forked from this process."""
    _OPEN.add(recorder)


def close_at_end(recorder: Closing) -> None:
    """Have `close` called at the end of this process, also of one that multiprocessing forked."""
    held = weakref.ref(recorder)
    atexit.register(_close, held)
    Finalize(recorder, _close, (held,), exitpriority=10)


def _close(held: weakref.ref[Closing]) -> None:
    recorder = held()
    if recorder is not None:
        recorder.close()


def _forked() -> None:
    for recorder in list(_OPEN):
        recorder.forked()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
