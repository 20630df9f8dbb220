"""One heavy job at a time: the others wait in line and are told their place."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_AGAIN = 0.2  # seconds


class Turns:
    """A line of jobs, first come, first served; safe between the threads of several sessions."""

    def __init__(self) -> None:
        self._line: deque[object] = deque()
        self._moved = threading.Condition()

    @contextmanager
    def take(self, waiting: Callable[[int], object] = lambda ahead: None) -> Iterator[None]:
        """Wait for this job's turn; `waiting` is told how many are ahead. Whoever leaves, by an error too, frees it."""
        ticket = object()
        with self._moved:
            self._line.append(ticket)
        try:
            while ahead := self._ahead(ticket):
                waiting(ahead)
            yield
        finally:
            with self._moved:
                self._line.remove(ticket)
                self._moved.notify_all()

    def others_wait(self) -> bool:
        """Return whether somebody waits behind the job that runs."""
        with self._moved:
            return len(self._line) > 1

    def _ahead(self, ticket: object) -> int:
        with self._moved:
            if self._line[0] is not ticket:
                self._moved.wait(LOOK_AGAIN)
            return self._line.index(ticket)
