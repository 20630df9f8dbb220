"""What comes behind the first paint of a record: what the board asked for, each piece worked out once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import record_session, session, state
from dashboard.costs import Costs, costs
from dashboard.explaining import (
    NOTHING_MORE,
    SLOW,
    More,
    Wanted,
    explain,
    explain_classes,
    has_map,
    judge_map,
    moving_heads,
    removals,
)
from dashboard.inspection import Inspection
from dashboard.uploads import OpenSet
from dashboard.viewer import Selection
from dashboard.views.board import CHANCE, Later
from dashboard.views.labels import waiting, without_attention
from dashboard.views.maps import Explained
from fusion_core.errors import CallError
from fusion_core.question import DEFAULT_METHOD
from fusion_core.types import Attribution, Seam, Trace
from fusion_core.verify.faithfulness import RemovalTable
from fusion_core.verify.removal import Told

T = TypeVar("T")
Json = dict[str, Any]
A_FEW = 4  # classes explained at a time behind the first paint: a click in between waits for no more


def wanted_by(now: Selection, found: Inspection) -> list[Wanted]:
    """Return the attributions that the board shows and that do not come by themselves.

    A strategy without attention between tokens has attributions only, whatever view is asked for, and so has the one
    beside it.
    """
    own = {trace.strategy: trace.prediction.top for trace in found.traces}
    chance = {trace.strategy for trace in found.traces if trace.status == CHANCE}
    silent = {trace.strategy for trace in found.traces if without_attention(trace.strategy, trace)}
    shown = [name for name in (now.strategy, now.beside) if name in own]
    attribution = now.view == "attribution" or any(name in silent for name in shown)
    usual = now.method == DEFAULT_METHOD and now.seam != "input" and not now.against
    if now.strategy not in own or not attribution:
        return []
    shown = [name for name in shown if name not in chance and (name in found.heavy or not usual)]
    target = now.target or own[now.strategy]
    against = "" if now.against == target else now.against
    seam: Seam = "input" if now.seam == "input" else "fusion"
    return [Wanted(name, now.method, seam, target, against) for name in shown]


@dataclass(frozen=True)
class Work:
    """The open record, and the place on the screen where it is said what is being done."""

    folder: str
    key: str
    opened: OpenSet
    found: Inspection
    meanwhile: DeltaGenerator

    @property
    def content(self) -> str:
        """Name the record under this model, for what is remembered of it."""
        return self.folder + self.key

    def later(
        self, now: Selection, begun: bool, classes: tuple[str, ...], whole: bool, near: Json | None
    ) -> tuple[Later, str]:
        """Return what there is by now, and a name for how much that is.

        begun: whether the board asked for more than its first paint. whole: whether every class is among `classes`.
        """
        loaded = session.model(self.folder)
        offered = self._once("costs", "", partial(costs, loaded, self.found)) if begun else Costs()
        wanted = wanted_by(now, self.found) if begun else []
        more = self._classes(classes).joined(self._attributions(wanted, offered))
        judged = self._judged(more)
        self.meanwhile.empty()
        stage = f"{[(w.strategy, w.name, len(more.explained.get(w.strategy, ()))) for w in wanted]}"
        stage += f" {state.noted(self.content, 'judge')}"
        light = [trace for trace in self.found.traces if trace.strategy not in self.found.heavy]
        heads = {t.strategy: self._heads(t) for t in light if t.scores} if whole else {}
        later = Later(more.explained, more.scores, judged, heads, offered.methods, near, offered.tests)
        return later, f"{stage} {self._known(wanted)} {len(offered.methods)}"

    def _heads(self, trace: Trace) -> dict[str, list[float]]:
        make = partial(moving_heads, session.model(self.folder), self.found, trace)
        return self._once("heads", trace.strategy, make)

    def _silent(self, ahead: int) -> None:
        # Nothing is said while this waits behind a board that stands, but a click must get through.
        self.meanwhile.empty()
        self._give_way()

    def _in_line(self, ahead: int) -> None:
        self.meanwhile.caption(waiting(ahead))
        self._give_way()

    def _classes(self, classes: tuple[str, ...]) -> More:
        more = NOTHING_MORE
        step = 1 if self.found.heavy else A_FEW
        for start in range(0, len(classes), step):
            few = classes[start : start + step]
            self._give_way()
            make = partial(explain_classes, session.model(self.folder), self.found, few)
            more = more.joined(self._once("classes", few, make))
        return more

    def _known(self, wanted: list[Wanted]) -> list[float]:
        partly = self._partly()
        return [min(part.done for part in partly[w].parts) for w in wanted if w in partly]

    def _attributions(self, wanted: list[Wanted], offered: Costs) -> More:
        """Work out what is quick, and what somebody started; show what is known of what was broken off."""
        partly = self._partly()
        started = state.noted(self.content, "start")
        explained: dict[str, tuple[Explained, ...]] = {}
        for one in wanted:
            cost = offered.of(one)
            if cost is None:
                continue
            unasked = one.method == DEFAULT_METHOD and not cost["heavy"]
            if unasked or cost["seconds"] <= SLOW or (one.strategy, one.name) in started:
                found = self._attribution(one, cost["seconds"])
                explained[one.strategy] = (found,) if found else ()
            elif one in partly:
                explained[one.strategy] = (partly[one],)
        return More(explained, {})

    def _attribution(self, one: Wanted, seconds: float) -> Explained | None:
        """Work out one attribution; where it is broken off, what is known by then is kept."""

        def report(done: int, planned: int, partly: tuple[Attribution, ...]) -> None:
            if partly:
                self._partly()[one] = Explained(one.method, partly)
            share = min(1.0, done / max(1, planned))
            words = f"{done:,} of {planned:,} passes, about {seconds * (1 - share):.0f} s left."
            self.meanwhile.progress(share, text=words)
            self._give_way()

        try:
            make = partial(explain, session.model(self.folder), self.found, one, report)
            return self._once("explained", one, make, self._in_line)
        except CallError:
            return None  # the board says that the method does not work here

    def _partly(self) -> dict[Wanted, Explained]:
        """Return the attributions that were broken off, as far as they came."""
        kept = state.recall("partly")
        if not isinstance(kept, tuple) or kept[0] != self.content:
            kept = (self.content, {})
            state.remember("partly", kept)
        known: dict[Wanted, Explained] = kept[1]
        return known

    def _once(self, name: str, part: object, make: Callable[[], T], said: Callable[[int], object] | None = None) -> T:
        """Return a part of what is worked out about the open record, made in its turn when it is not there yet.

        Not a cached function: while it waits for its turn it says so on the screen, which a cache would say again.
        """
        done = record_session.parts(self.opened, self.content)
        if (name, part) not in done:
            with session.turns().take(said or self._silent):
                if (name, part) not in done:  # another session may have been ahead with the same
                    done[name, part] = make()
        made: T = done[name, part]
        return made

    def _judged(self, more: More) -> dict[str, dict[str, Json]]:
        """Return what was measured about the maps the board asked about; of each modality where it asked for that."""
        traces = {trace.strategy: trace for trace in self.found.traces}
        judged: dict[str, dict[str, Json]] = {}
        for strategy, name, target, each in state.noted(self.content, "judge"):
            if strategy not in traces or target not in traces[strategy].prediction.classes:
                continue
            known = ("judged", (strategy, name, target, each)) in record_session.parts(self.opened, self.content)
            if not known and not has_map(traces[strategy], more, name):
                continue  # another one is shown by now
            make = partial(self._judge, traces[strategy], more, name, target, bool(each))
            found = self._once("judged", (strategy, name, target, each), make)
            if found is not None:
                judged.setdefault(strategy, {})[f"{name} {target}"] = found
        return judged

    def _judge(self, trace: Trace, more: More, name: str, target: str, each: bool) -> Json | None:
        loaded = session.model(self.folder)
        table = self._table(trace.strategy, target, each)
        return judge_map(loaded, self.found, trace, more, table, name, target, against_chance=each)

    def _told(self, asked: object) -> Told:
        """Go on with a test that a click broke off."""
        kept = state.recall("removing")
        if not isinstance(kept, tuple) or kept[:2] != (self.content, asked):
            kept = (self.content, asked, [])
            state.remember("removing", kept)
        return Told(self._testing, kept[2])

    def _testing(self, done: int, planned: int) -> None:
        self.meanwhile.progress(done / planned, text=f"Testing the map: {done:,} of {planned:,} passes.")
        self._give_way()

    def _give_way(self) -> None:
        if state.is_clicked():
            st.rerun(scope="fragment")

    def _table(self, strategy: str, target: str, each: bool) -> RemovalTable:
        """Return the removals of a strategy and a class; kept for the maps of the last few that were asked about."""
        kept = state.recall("removals")
        tables: dict[object, RemovalTable] = kept[1] if isinstance(kept, tuple) and kept[0] == self.content else {}
        asked, loaded = (strategy, target, each), session.model(self.folder)
        if asked not in tables:
            told = self._told(asked) if strategy in self.found.heavy else None
            tables[asked] = removals(loaded, self.found, strategy, target, each, told).answered_by(None)
        state.remember("removals", (self.content, tables))
        return tables[asked].answered_by(loaded.head(strategy))
