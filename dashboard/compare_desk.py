"""Compare's desk: the model and records that are open, the strategy that runs today, and what is known of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from dashboard import session, state
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.views.escape import markdown_safe
from dashboard.views.picker import refusals
from fusion_core.model import FusedModel

PARTS = {"record": "On one record", "set": "On the record set", "changed": "What would have changed"}
TO_INSPECT = "compare to inspect"


@dataclass(frozen=True)
class CompareDesk:
    """What the cards of Compare are about. today: the strategy the others are compared with."""

    place: Workplace
    opened: OpenSet
    today: str

    @property
    def loaded(self) -> FusedModel:
        """The model: asked for each time, for a desk outlives the run that made it, and a model may have to go."""
        return session.model(self.folder)

    @property
    def folder(self) -> str:
        """The model's folder, by which caches know it."""
        return str(self.place.model)

    @property
    def job_name(self) -> str:
        """The name of the job that compares strategies on this record set."""
        return f"compare · {self.folder} · {self.opened.key}"

    @property
    def is_operators(self) -> bool:
        """Whether the records are those the operator named: what is found of them may be shown to all."""
        return self.opened.upload is None and not self.opened.link and self.opened.answers is None

    @property
    def labelled(self) -> int:
        """How many records have a label."""
        return sum(record.label is not None for record in self.opened.records.records)

    @property
    def judged(self) -> int:
        """How many records have a label that is a class of the model."""
        classes = self.loaded.classes
        return sum(record.label in classes for record in self.opened.records.records)

    @property
    def every_strategy(self) -> OpenSet:
        """The open set without a log's answers, which are of one strategy: to be answered under all of them."""
        return replace(self.opened, answers=None)

    @property
    def answers(self) -> pd.DataFrame | None:
        """Answers under every strategy, None where the set was not answered yet."""
        found, _ = session.answers(self.folder, self.every_strategy)
        return found

    def open_record(self, id: str, strategy: str) -> None:
        """Open a record in Inspect under a strategy, from the next run on."""
        parts = dict.fromkeys(state.OF_COMPARE, "")
        state.write_link(
            **parts,
            model=self.place.name,
            set=self.opened.link,
            record=id,
            strategy=strategy,
            screen="inspect",
            token="",
            target="",
            beside="",
        )
        state.remember("moves", state.moves() + 1)
        state.remember(TO_INSPECT, True)


def leave(inspect: Callable[[], None]) -> None:
    """Go to Inspect if a record was opened."""
    if state.recall(TO_INSPECT):
        state.remember(TO_INSPECT, None)
        inspect()


def asked_today(loaded: FusedModel) -> str:
    """Return the strategy that runs today by the address, else the original, or the model's default without one."""
    asked = state.link().get("today", "")
    return asked if asked in loaded.strategies else loaded.original or loaded.default_strategy


def offered_parts(rows: int, strategies: int) -> list[str]:
    """Return the parts there are: of one record only itself; of one strategy nothing that another would change."""
    return [part for part in PARTS if rows > 1 or part == "record" if strategies > 1 or part != "changed"]


def asked_part(offered: Sequence[str]) -> str:
    """Return which part of the screen the address asks for, the first where it is not offered."""
    asked = state.link().get("part", "")
    return asked if asked in offered else offered[0]


def records_said(desk: CompareDesk) -> str:
    """Return which records are open, as Markdown."""
    count = len(desk.opened.records.records)
    name = "" if desk.is_operators else f" of {markdown_safe(desk.opened.name)}"
    return f"{count:,} records{name}, {desk.labelled:,} with a label{refusals(desk.opened.records.refusals)}"
