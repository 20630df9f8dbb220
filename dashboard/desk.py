"""Triage's desk: the log that is open, what is asked of it, and the answers the cards are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from dashboard import log_session, state
from dashboard.options import Workplace
from dashboard.views import charts
from dashboard.views.asked import EVERY_ROW, Asked
from dashboard.views.triage import named_causes
from fusion_core.log.asking import Filter
from fusion_core.log.diagnosed import Diagnosed
from fusion_core.log.schema import Run, SliceKind
from fusion_core.log.store import Store

#: Columns that can be sliced besides the run's own.
OpenRecord = Callable[[str], None]
SLICED = ("release", "prediction", "label", "present")


@dataclass(frozen=True)
class Desk:
    """One run of a log and what is asked of it; every answer comes from the cache when it was asked before."""

    place: Workplace
    store: Store
    strategy: str
    labelled: bool
    asked: Asked

    @property
    def run(self) -> Run:
        """What the run says of itself."""
        return self.store.opened[0].run

    @property
    def diagnosed(self) -> Diagnosed | None:
        """The run's diagnosis, None where there is none that can be read."""
        return self.store.opened[0].diagnosed

    @property
    def slices(self) -> Mapping[str, SliceKind]:
        """The run's slices with their kinds."""
        return self.store.slices

    def rows(self, asked: Asked | None = None) -> Filter:
        """Return the rows that are asked for, or that other filters ask for."""
        return (asked or self.asked).filter(self.strategy, self.slices)

    def ask(self, question: str, asked: Asked | None = None, *more: Any) -> Any:
        """Answer a question about rows."""
        return log_session.ask(self.store, question, self.rows(asked), *more)

    @cached_property
    def days(self) -> pd.DataFrame:
        """The timeline of all rows of the log, whatever is asked for: it knows the releases."""
        found: pd.DataFrame = self.ask("timeline", EVERY_ROW)
        return found

    @cached_property
    def colours(self) -> Mapping[str, str]:
        """The colour of every cause, in words, that a finding names."""
        return charts.cause_colours(named_causes(self.diagnosed.findings if self.diagnosed else ()))

    @property
    def failing(self) -> str:
        """What the rows that are counted are called."""
        return (
            "rows" if self.asked.rows == "all" else "failures" if self.asked.rows == "failures" else "rows with a cause"
        )

    def change(self, asked: Asked) -> None:
        """Ask for something else: the address says so, and widgets begin there anew."""
        state.write_link(**asked.for_link(self.labelled))
        count = state.recall("triage turns")
        state.remember("triage turns", (count if isinstance(count, int) else 0) + 1)

    @property
    def turn(self) -> int:
        """How often something else was asked for, by click or by Back: part of the keys of widgets that follow it."""
        count = state.recall("triage turns")
        return (count if isinstance(count, int) else 0) + 1_000 * state.jumps()


def selection(key: str, kind: str) -> list[Any]:
    """Return what is selected in a chart or table: its points, boxes or rows."""
    event = state.recall(key)
    chosen = event.get("selection", {}) if isinstance(event, Mapping) else {}
    return list(chosen.get(kind, ()))


def open_desk(place: Workplace, run: str) -> Desk:
    """Open a run of the place's log as the address asks for it; raises CallError when it cannot be read."""
    assert place.log is not None
    store = log_session.store(place.log, run)
    strategy = log_session.strategy_of(store)
    labelled = log_session.ask(store, "labelled", Filter(strategy=strategy)) > 0
    return Desk(place, store, strategy, labelled, Asked.read(state.link(), labelled))
