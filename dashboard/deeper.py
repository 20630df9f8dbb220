"""Below the board: questions that take seconds, asked by a click and answered for the strategy on the board."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import streamlit as st

from dashboard import record_session, session, state
from dashboard.inspection import Inspection
from dashboard.options import Workplace
from dashboard.turns import Turns
from dashboard.uploads import OpenSet
from dashboard.views.changes import changes_sentence, changes_table
from dashboard.views.influence import card, influence_sentence
from dashboard.views.labels import say, waiting
from dashboard.work import Work
from fusion_core.change import smallest_changes
from fusion_core.diagnose.telling import case_sections
from fusion_core.influence import influential, trained
from fusion_core.model import FusedModel
from fusion_core.question import Question
from fusion_core.report import gather, page
from fusion_core.types import Influential, Record, SmallestChange
from fusion_core.words import AS_LOADED


def case_file(
    opened_model: Callable[[], FusedModel],
    record: Record,
    strategy: str,
    target: str,
    folder: Path,
    own_files: Callable[[], AbstractContextManager[None]],
    turns: Turns,
    whole: bool,
) -> bytes:
    """Write a record's case file, in its turn, reading its media where its browser's media are read.

    whole: with an attribution and tests of the maps.
    """
    question = Question(target=target, judge=True) if whole else Question(None, target=target)
    with turns.take(), own_files():
        loaded = opened_model()
        sections = case_sections(loaded, folder, record)
        return page(gather(loaded, record, (strategy,), question, datetime.now(UTC), folder, sections)).encode()


QUESTIONS = {"changes": "What would flip this answer?", "influence": "Which training records pushed it?"}
MOST = 5
CASE = "One page that needs no network, with every number, setting and version. It takes some seconds."
CASE_OF_LARGE = (
    "One page that needs no network. This model is large: the page holds no attribution and no test of a map, and "
    "takes about as long as opening the record did; `python -m fusion_core report` writes the whole."
)


@dataclass(frozen=True)
class Deeper:
    """The open record as the questions below the board need it; target: the class explained."""

    place: Workplace
    opened: OpenSet
    record: Record
    found: Inspection
    work: Work
    strategy: str
    target: str

    def show(self) -> None:
        """Offer the questions, and answer those that were asked of this record."""
        asked = state.noted(self.work.content, "deeper")
        with st.container(key="deeper"):
            with st.container(horizontal=True):
                for name, words in QUESTIONS.items():
                    cannot = self._untrained() if name == "influence" else None
                    st.button(
                        words, key=f"ask {name}", on_click=self._ask, args=(name,), help=cannot,
                        disabled=(name,) in asked or cannot is not None,
                    )  # fmt: skip
                self._case_file()
            if ("changes",) in asked:
                self._changes()
            if ("influence",) in asked:
                self._influence()

    def _untrained(self) -> str | None:
        """Return why no training record can be named for the strategy's answer; None where one may be."""
        fitted = session.model(str(self.place.model)).fitted[self.strategy]
        if fitted.status != AS_LOADED:
            return None
        return f"{say(self.strategy)} was not fitted here: which records it learned from is not known."

    def _ask(self, name: str) -> None:
        state.note(self.work.content, "deeper", (name,))

    def _case_file(self) -> None:
        """Offer the record's case file; it is written when somebody takes it, outside this script's run."""
        folder = self.place.model
        write = partial(
            case_file,
            session.opener(str(folder)),
            self.record,
            self.strategy,
            self.target,
            folder,
            session.file_reader(self.opened),
            session.turns(),
            self.strategy not in self.found.heavy,
        )
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.record.id}-{self.strategy}")[:80]
        st.download_button(
            "Save a case file",
            write,
            f"{name}.html",
            "text/html",
            key="case file",
            on_click="ignore",
            help=CASE_OF_LARGE if self.strategy in self.found.heavy else CASE,
        )

    def _changes(self) -> None:
        parts = record_session.parts(self.opened, self.work.content)
        said = st.empty()
        if "changes" not in parts:
            with session.turns().take(lambda ahead: said.caption(waiting(ahead))), session.own_files(self.opened):
                parts["changes"] = self._find_changes(said)
        said.empty()
        found: list[SmallestChange] = parts["changes"]
        with st.container(key="changes", border=True):
            st.markdown(f"**{QUESTIONS['changes']}** {changes_sentence(found, self.strategy)}")
            st.dataframe(changes_table(found, self.strategy), hide_index=True, key=f"changes {self.strategy}")
            st.caption("One modality is changed at a time, more and more; the first amount that flips counts. Seed 0.")

    def _find_changes(self, said: st.delta_generator.DeltaGenerator) -> list[SmallestChange]:
        loaded = session.model(str(self.place.model))

        def report(done: int, planned: int) -> None:
            said.progress(done / planned, text=f"Trying changes: {done} of {planned} kinds.")

        return smallest_changes(loaded, self.record, loaded.strategies, report=report)

    def _influence(self) -> None:
        with st.container(key="influence", border=True):
            st.markdown(f"**{QUESTIONS['influence']}**")
            if (why := self._untrained()) is not None:  # asked under another strategy of the bundle
                st.caption(why)
                return
            training = session.training(str(self.place.model), str(self.place.training or ""))
            if training is None:
                st.caption(
                    "There is no index of training records beside this model. Make one: `python -m fusion_core "
                    "influence --training DIR --save ...`, and start the dashboard with `--training DIR`."
                )
                return
            loaded = session.model(str(self.place.model))
            if self.strategy not in trained(loaded):
                st.caption(f"{say(self.strategy)} is at chance: no record pushed its answer anywhere.")
                return
            found = influential(loaded, training.index, self.found.tokens, self.strategy, self.target, MOST)
            st.caption(influence_sentence(found, loaded.fitted[self.strategy].training_records))
            strongest = max((abs(r.score) for r in (*found.towards, *found.against)), default=0.0)
            for name, side in (("towards", found.towards), ("away from", found.against)):
                st.markdown(f"Pushed {name} “{found.target}”" if side else f"None pushed {name} “{found.target}”")
                columns = st.columns(MOST)
                for column, one in zip(columns, side, strict=False):
                    with column:
                        self._card(one, strongest)

    def _card(self, one: Influential, strongest: float) -> None:
        shown = session.training_glimpse(str(self.place.model), str(self.place.training), one.id)
        st.html(card(one, shown, strongest, self.target))
        if shown.samples is not None:
            st.audio(shown.samples, sample_rate=shown.rate)
