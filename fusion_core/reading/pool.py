"""The processes that read for the server: started when needed, bounded, replaced when they fail."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from fusion_core.errors import FusionError
from fusion_core.reading.child import Child, ChildFailed, Request

T = TypeVar("T")
_owner: ContextVar[str] = ContextVar("owner", default="")


@contextmanager
def reading_for(owner: str) -> Iterator[None]:
    """Read the files of `owner` in children that read nobody else's: a child in a file's hands sees the next one."""
    before = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(before)


@dataclass(frozen=True)
class Limits:
    """What one kind of reading may take.

    seconds: wall clock for one request. memory: bytes of address space. file_bytes: size of any file written.
    children: how many at once, and how many stay for the next request.
    requests: after how many a child is replaced by a fresh one.
    """

    seconds: float
    memory: int
    file_bytes: int
    children: int
    requests: int


class Pool:
    """Children of one kind, each lent to one thread at a time; an owner's used last is the one it gets first."""

    def __init__(self, limits: Limits, command: Sequence[str] | None = None) -> None:
        self.limits = limits
        self._command = command or _worker(limits)
        self._reset()
        _POOLS.add(self)

    def run(self, request: Request, read: Callable[[Child], T]) -> T:
        """Return what `read` makes of a child's answer; raises the RecordError it answered with, or ChildFailed.

        A child that served others before may be to blame itself, so the request is tried once more with a fresh one.
        """
        with self._turn:
            while True:
                child = self._take()
                fresh = child.served == 0
                try:
                    value = child.serve(request, read, self.limits.seconds)
                except ChildFailed as failure:
                    self._drop(child)
                    if fresh or failure.slow:
                        raise
                except FusionError:
                    self._give_back(child)
                    raise
                except BaseException:  # an answer half read must not become the next one's
                    self._drop(child)
                    raise
                else:
                    self._give_back(child)
                    return value

    def pids(self) -> list[int]:
        """Return the process ids of the children there are."""
        return [child.pid for child in list(self._children)]

    def close(self) -> None:
        """End every child; the next request starts a new one."""
        while (child := self._last_idle()) is not None:
            self._drop(child)
        for busy in list(self._children):
            busy.kill()  # and no more: another thread reads from it

    def forget(self) -> None:
        """Leave the children to the process this one was forked from, and start anew."""
        for child in self._children:
            child.let_go()
        self._reset()

    def _reset(self) -> None:
        self._turn = threading.BoundedSemaphore(self.limits.children)
        self._lock = threading.Lock()
        self._children: set[Child] = set()
        self._idle: list[Child] = []

    def _take(self) -> Child:
        owner = _owner.get()
        while (child := self._last_idle(owner)) is not None:
            if child.alive():
                return child
            self._drop(child)
        child = Child(self._command, owner)
        self._children.add(child)
        return child

    def _last_idle(self, owner: str | None = None) -> Child | None:
        """Take the child that was used last by `owner`, or by anybody."""
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if owner is None or self._idle[place].owner == owner:
                    return self._idle.pop(place)
        return None

    def _give_back(self, child: Child) -> None:
        surplus = [child]
        if child.served < self.limits.requests:
            with self._lock:
                self._idle.append(child)
                most = max(1, self.limits.children)
                surplus, self._idle = self._idle[:-most], self._idle[-most:]
        for other in surplus:
            self._drop(other)

    def _drop(self, child: Child) -> None:
        self._children.discard(child)
        child.close()


_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()


def _close_all() -> None:
    for pool in list(_POOLS):
        pool.close()


def _forget_all() -> None:
    for pool in list(_POOLS):
        pool.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _worker(limits: Limits) -> list[str]:
    """Return the command of the worker; `-P` keeps files of the current folder from being taken for modules."""
    module = "fusion_core.reading.worker"
    return [sys.executable, "-P", "-m", module, str(limits.memory), str(limits.file_bytes)]
