"""A prediction log opened for questions, by several threads at once, and opened anew when it has changed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

import pandas as pd

from fusion_core.errors import CallError
from fusion_core.log.diagnosed import FOLDER, SUMMARY
from fusion_core.log.manifest import MANIFEST
from fusion_core.log.opening import Opened, State, open_state
from fusion_core.log.runs import run_folder, runs
from fusion_core.log.schema import SliceKind

SECONDS = 20.0
TRIES = 5

_More = ParamSpec("_More")
_Answer = TypeVar("_Answer")


class Store:
    """The answered and error rows of one run, or of all runs of a log, as they were when it was opened.

    Values reach DuckDB as parameters only, and nothing outside the log's runs can be read or written through it.
    Threads may share it: a question is answered from the state it began with, whoever calls `refresh` meanwhile.
    Raises CallError for a run that is not there, or whose files cannot be read at all.
    """

    def __init__(self, log: Path, run: str | None = None, seconds: float = SECONDS) -> None:
        self.log, self.run, self.seconds = log.resolve(), run, seconds
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._users: dict[int, int] = {}  # by the id of a state
        self._closed = False
        self._state = self._open()

    def _open(self) -> State:
        for _ in range(TRIES - 1):
            names, mark = self._there()
            try:
                return open_state(self.log, names, mark, self.seconds)
            except CallError:
                if self._there() == (names, mark):
                    raise  # else upkeep took a part away between the list and the reading: read the new list
        return open_state(self.log, *self._there(), self.seconds)

    def _there(self) -> tuple[tuple[str, ...], str]:
        """Return the runs there are and their mark; taken first, so that the next refresh sees what changes later."""
        names = runs(self.log) if self.run is None else (self.run,)
        marks = []
        for name in names:
            folder = run_folder(self.log, name)
            for path in (folder / MANIFEST, folder / FOLDER / SUMMARY):
                try:
                    there = path.stat()
                    marks.append((name, there.st_ino, there.st_size, there.st_mtime_ns))
                except OSError:
                    marks.append((name, 0, 0, 0))
        return names, repr(marks)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take no more questions, and let go of the database once those that are asked are answered."""
        with self._lock:
            self._closed = True
            self._let_go(self._state)

    @property
    def opened(self) -> tuple[Opened, ...]:
        """The runs that are open."""
        return self._state.opened

    @property
    def slices(self) -> dict[str, SliceKind]:
        """The slices of all runs that are open, with their kinds."""
        return self._state.slices

    @property
    def said(self) -> str:
        """How much of the log can be read, and what cannot: "3 of 4 parts; parts/part-00002.parquet of run a: ..."."""
        opened = self._state.opened
        live, damaged = sum(len(o.parts.live) for o in opened), list[str]()
        for o in opened:
            damaged += [f"{d.part.file} of run {o.run.name} is not read: {d.reason}" for d in o.parts.damaged]
        notes = [f"run {o.run.name}: {note}" for o in opened for note in o.parts.notes]
        notes += [o.undiagnosed for o in opened if o.undiagnosed]
        return "; ".join([f"{live} of {live + len(damaged)} parts", *damaged, *notes])

    @property
    def mark(self) -> str:
        """What the log was when it was opened: another one once rows were added, dropped or diagnosed."""
        return self._state.mark

    def refresh(self) -> bool:
        """Open the log anew if it has changed since it was opened; say whether it had.

        Raises CallError when it cannot be opened: it is then as it was, and the next call tries again.
        """
        with self._opening:
            if self._there()[1] == self._state.mark:
                return False
            fresh = self._open()
            with self._lock:
                old, self._state = self._state, fresh
                self._let_go(old)
                if self._closed:
                    self._let_go(fresh)
        return True

    @contextmanager
    def still(self) -> Iterator[State]:
        """Give the one state that several questions are asked of; it stays open until they are answered."""
        with self._lock:
            if self._closed:
                raise CallError("the log was closed; open it again")
            state = self._state
            self._users[id(state)] = self._users.get(id(state), 0) + 1
        try:
            yield state
        finally:
            with self._lock:
                self._users[id(state)] -= 1
                if not self._users[id(state)]:
                    del self._users[id(state)]
                if state is not self._state or self._closed:
                    self._let_go(state)

    def _let_go(self, state: State) -> None:
        """Close a state that nobody asks any more. Call with the lock held."""
        if id(state) not in self._users:
            state.database.close()

    def ask(self, sql: str, values: Sequence[object] = ()) -> pd.DataFrame:
        """Answer a question that `queries` has put together from its own words; values stand as $1, $2, ...

        Raises CallError `resource_exhausted` after `seconds` or beyond the memory limit, and `call_refused` for values
        that no row can have and for parts that went since the log was opened.
        """
        with self.still() as state:
            return state.ask(sql, values)


#: What questions are asked of: a store, or one state of it.
Source = Store | State


def of_one_state(
    question: Callable[Concatenate[State, _More], _Answer],
) -> Callable[Concatenate[Source, _More], _Answer]:
    """Have a question answered from one state of the log, however often it asks and whoever refreshes it meanwhile."""

    @functools.wraps(question)
    def asked(store: Source, *more: _More.args, **named: _More.kwargs) -> _Answer:
        with store.still() as state:
            return question(state, *more, **named)

    return asked
