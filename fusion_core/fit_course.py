"""Train strategies one after the other: what is done, what is left, and what a budget of minutes allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fusion_core.errors import CallError
from fusion_core.fit import FitSettings, train_head, trial_seconds, wanted_of
from fusion_core.fit_facts import HeadFigures
from fusion_core.fit_figures import head_figures
from fusion_core.fit_plan import FitStep, Pass, Teacher
from fusion_core.fusion import Head, TokenSpec
from fusion_core.model import Fitted
from fusion_core.tokens import TokenSet

Tell = Callable[[FitStep], bool]
FEWEST_PASSES = 4  # over the records that a budget must allow a strategy for it to be begun


@dataclass(frozen=True)
class Task:
    """What every strategy of a fit learns from."""

    specs: Mapping[str, TokenSpec]
    classes: tuple[str, ...]
    train: TokenSet
    validation: TokenSet
    settings: FitSettings
    teacher: Teacher | None = None


@dataclass
class Course:
    """Strategies trained so far, and the passes of each."""

    heads: dict[str, Head] = field(default_factory=dict)
    fitted: dict[str, Fitted] = field(default_factory=dict)
    figures: dict[str, HeadFigures] = field(default_factory=dict)
    curves: dict[str, tuple[Pass, ...]] = field(default_factory=dict)
    stopped: bool = False


def train_all(task: Task, names: Sequence[str], minutes: float | None, tell: Tell) -> Course:
    """Train strategies in turn; stop when told so, or before what the budget does not allow, and keep what is done.

    Within a budget, a strategy that its even share of what is left does not allow all passes makes fewer of them.
    Raises CallError when no strategy is done by then.
    """
    course = Course()
    ends = None if minutes is None else time.monotonic() + 60.0 * minutes
    passes = {name: trial_seconds(name, task.specs, len(task.classes), task.train, task.settings) for name in names}
    for place, name in enumerate(names):
        settings = _within(task.settings, passes[name], ends, len(names) - place)
        if settings is None:
            course.stopped = True
            continue
        if settings.epochs < task.settings.epochs:
            course.stopped = True
        later = task.settings.epochs * sum(passes[other] for other in names[place + 1 :])
        if not _train(task, replace(task, settings=settings), name, later, ends, course, tell):
            course.stopped = True
            break
    if not course.heads:
        raise CallError(
            f"no strategy was trained within {minutes:g} minutes; give more, or fewer strategies or records"
            if minutes is not None and not course.curves
            else "the fit was stopped before a strategy was trained; nothing is saved"
        )
    return course


def _within(settings: FitSettings, seconds: float, ends: float | None, left: int) -> FitSettings | None:
    """Return settings with as many passes as a strategy's share of the time left allows; None for too few."""
    if ends is None:
        return settings
    allowed = int((ends - time.monotonic()) / left / seconds)
    if allowed < FEWEST_PASSES:
        return None
    return replace(settings, epochs=min(settings.epochs, allowed))


def _train(whole: Task, task: Task, name: str, later: float, ends: float | None, course: Course, tell: Tell) -> bool:
    """Train one strategy into the course; return False when the fit is to end: then a strategy half trained is lost."""
    started, cancelled = time.monotonic(), False

    def watch(last: Pass, done: int, of: int) -> bool:
        nonlocal cancelled
        course.curves[name] = (*course.curves.get(name, ()), last)
        left = (of - done) * (time.monotonic() - started) / done + later
        cancelled = not tell(FitStep("train", name, done, of, left, dict(course.curves), dict(course.fitted)))
        return not cancelled and (ends is None or time.monotonic() < ends)

    head, fitted = train_head(
        name, task.specs, task.classes, task.train, task.validation, task.settings, watch, task.teacher
    )
    if cancelled:
        return False
    course.heads[name], course.fitted[name] = head, fitted
    wanted = wanted_of(task.validation, task.classes, task.teacher)
    course.figures[name] = head_figures(head, task.validation, wanted, task.settings.seed)
    return True


def best_strategy(course: Course) -> str:
    """Return the strategy that answers first: the best validation accuracy."""
    return max(course.fitted, key=lambda name: course.fitted[name].validation_accuracy)
