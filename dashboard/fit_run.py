"""A fit as a job of its browser: what was asked, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashboard import fit_session, session
from dashboard.fit_sources import FitSet, Source
from dashboard.jobs import Job, Work
from dashboard.own_bundles import OwnBundle
from fusion_core import fitting
from fusion_core.encoders import EncoderSource
from fusion_core.fit_plan import FitOutcome, FitPlan, FitStep, Pass
from fusion_core.model import Fitted
from fusion_core.types import Refusal

JOB = "fit"


@dataclass(frozen=True)
class FitAsked:
    """What to fit on what. held: records to be held out; sources, labels and model as in `FitPlan`."""

    source: Source
    set_name: str
    name: str
    strategies: tuple[str, ...]
    sources: Mapping[str, EncoderSource | None]
    minutes: float | None = None
    seed: int = 0
    held: int = 0
    labels: Mapping[str, str | None] = field(default_factory=dict)
    model: Path | None = None


@dataclass(frozen=True)
class FitRun:
    """A fit under way; step is None while the encoders load."""

    asked: FitAsked
    step: FitStep | None = None


@dataclass(frozen=True)
class FitResult:
    """What came of a fit, without the weights: those lie in the bundle."""

    asked: FitAsked
    folder: Path
    fitted: Mapping[str, Fitted]
    curves: Mapping[str, tuple[Pass, ...]]
    best: str
    refused: tuple[Refusal, ...]
    stopped: bool
    notes: tuple[str, ...]
    card: str

    @property
    def name(self) -> str:
        """Name of the bundle, as the picker shows it."""
        return self.folder.name


def start_fit(asked: FitAsked, found: FitSet) -> Job:
    """Start a fit of this browser, unless one is under way."""
    return session.start_job(JOB, _work(asked, found))


def _work(asked: FitAsked, found: FitSet) -> Work:
    """Bind all that belongs to the browser now: the work runs in a thread that knows none."""
    owner, bundles, taken = session.browser(), session.bundles(), [place.name for place in session.choices()]
    reading, roots = session.file_reader(found.opened), session.encoder_roots()
    tokens = fit_session.token_folder(found.opened)

    def work(job: Job) -> FitResult:
        job.tell(FitRun(asked))
        folder = bundles.room(owner, asked.name, taken)
        plan = FitPlan(
            name=folder.name,
            records=found.records,
            strategies=asked.strategies,
            sources=asked.sources,
            seed=asked.seed,
            minutes=asked.minutes,
            cache=tokens,
            teacher=found.teacher,
            labels=asked.labels,
            model=asked.model,
        )
        try:
            with reading():
                outcome = fitting.run_fit(plan, folder, lambda step: job.keep(FitRun(asked, step)), roots)
            result = _result(asked, outcome, job.latest)
        except BaseException:
            bundles.drop(folder)
            raise
        bundles.keep(owner, _own(found, outcome.out))
        return result

    return work


def _result(asked: FitAsked, outcome: FitOutcome, latest: FitRun) -> FitResult:
    return FitResult(
        asked=asked,
        folder=outcome.out,
        fitted=outcome.model.fitted,
        curves=latest.step.curves if latest.step else {},
        best=outcome.model.default_strategy,
        refused=outcome.refused,
        stopped=outcome.stopped,
        notes=outcome.notes,
        card=(outcome.out / "README.md").read_text("utf-8"),
    )


def _own(found: FitSet, folder: Path) -> OwnBundle:
    """Return the bundle with what leads to its records; an upload is found by its link for as long as it is kept."""
    opened = found.opened if found.source.log is not None else None
    return OwnBundle(folder, found.source.folder, found.opened.link, opened)
