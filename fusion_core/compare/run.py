"""Compare all strategies of a model on a record set, piece by piece: the partial result is there after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from fusion_core.compare.plan import Settings, make_plan
from fusion_core.compare.result import Comparison
from fusion_core.compare.store import Store, Unkept
from fusion_core.compare.threads import side_by_side
from fusion_core.compare.work import FIRST_LOOK, Work
from fusion_core.model import FusedModel
from fusion_core.tokens import Progress
from fusion_core.types import Record, Refusal
from fusion_core.words import say

NOT_WHOLE = "fewer than 20 records have all of two or more modalities: EMAP, perceptual scores, PID and the verdict"


@dataclass(frozen=True)
class Step:
    """A piece of work, in words. aside: whether it may be done beside others of its kind, on another core."""

    words: str
    work: Callable[[], None]
    aside: bool = True


class Comparing:
    """Iterate over it to compare: a `Comparison` comes before the first piece of work and after each.

    Accuracies come first, of a sample and then of all records; then cost, presence patterns, what each strategy uses,
    the verdict, and faults. Whoever iterates may stop between pieces; with a store, the next one goes on from there.
    Raises CallError as `make_plan` does.
    """

    def __init__(
        self,
        model: FusedModel,
        rows: Sequence[Record | Refusal],
        settings: Settings | None = None,
        store: Store | None = None,
        name: str = "",
        progress: Progress = lambda what, done, total: None,
    ) -> None:
        self.model, self.name, self.settings = model, name, settings or Settings()
        self._refused = tuple(row for row in rows if isinstance(row, Refusal))
        plan = make_plan(model, [row for row in rows if isinstance(row, Record)], self.settings)
        self._work = Work(model, plan, self.settings, store or Unkept(), progress)
        self._steps = self._planned()

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Rows that could not be read, as far as is known by now."""
        return (*self._refused, *self._work.refused)

    def __iter__(self) -> Iterator[Comparison]:
        done = 0
        yield self._told(done)
        for aside, steps in groupby(self._steps, key=lambda step: step.aside):
            works = [step.work for step in steps]
            for _ in side_by_side(lambda work: work(), works) if aside else (work() for work in works):
                done += 1
                yield self._told(done)

    def _planned(self) -> list[Step]:
        work, names = self._work, self.model.strategies
        judged, whole = work.plan.truth is not None, work.whole_enough()
        count = len(work.plan.records)
        found: list[Step] = []
        if judged and count > 2 * FIRST_LOOK:
            found.append(Step(f"answers to a sample of {FIRST_LOOK} records", work.first_look, False))
        found += [Step(f"answers to all {count:,} records", work.answers, False), Step("cost", work.cost, False)]
        found += [Step(f"presence patterns, {say(s)}", partial(work.patterns, s)) for s in names]
        if judged and whole:
            found += [Step(f"EMAP, {say(s)}", partial(work.emap, s)) for s in names]
            found += [Step(f"perceptual scores, {say(s)}", partial(work.perceptual, s)) for s in names]
            found += [Step(f"information, {say(s)}", partial(work.information, s)) for s in names]
        found += [Step(f"reliance, {say(s)}", partial(work.reliance, s)) for s in names]
        if judged and whole:
            found.append(Step("verdict", work.judge, False))
        elif judged:
            work.left_out.append(NOT_WHOLE)
        for kind, severities in work.plan.kinds.items():
            found += [Step(f"{kind}, severity {s}", partial(work.fault, kind, s), False) for s in severities]
        return found

    def _told(self, done: int) -> Comparison:
        work = self._work
        return Comparison(
            model=self.model.name,
            records_name=self.name,
            records=len(work.plan.records),
            refused=len(self.refusals),
            classes=self.model.classes,
            modalities=self.model.modalities,
            baseline=work.plan.baseline,
            seed=self.settings.seed,
            strategies=tuple(work.reports.values()),
            verdict=work.verdict,
            done=done,
            planned=len(self._steps),
            doing=self._steps[done].words if done < len(self._steps) else "",
            left_out=tuple(work.left_out),
        )
