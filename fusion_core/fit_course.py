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
    most = task.settings.passes(len(task.train))
    seconds = {name: trial_seconds(name, task.specs, len(task.classes), task.train, task.settings) for name in names}
    for place, name in enumerate(names):
        allowed = _allowed(most, seconds[name], ends, len(names) - place)
        if allowed < FEWEST_PASSES:
            course.stopped = True
            continue
        later = most * sum(seconds[other] for other in names[place + 1 :])
        limited = replace(task, settings=replace(task.settings, epochs=allowed))
        if not _train(limited, name, later, ends, course, tell):
            course.stopped = True
            break
        out_of_time = ends is not None and time.monotonic() >= ends
        course.stopped = course.stopped or out_of_time or len(course.curves[name]) == allowed < most
    if not course.heads:
        raise CallError(
            f"no strategy was trained within {minutes:g} minutes; give more, or fewer strategies or records"
            if minutes is not None and not course.curves
            else "the fit was stopped before a strategy was trained; nothing is saved"
        )
    return course


def _allowed(most: int, seconds: float, ends: float | None, left: int) -> int:
    """Return how many passes a strategy's share of the time left allows, of those it would make at most."""
    if ends is None:
        return most
    return min(most, max(0, int((ends - time.monotonic()) / left / seconds)))


def _train(task: Task, name: str, later: float, ends: float | None, course: Course, tell: Tell) -> bool:
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
    """Return the strategy that answers unless another is asked for: the lowest validation loss among the most accurate.

    Those are the strategies whose accuracy lies within the interval of the best one's: of a few hundred records,
    accuracy alone would choose by luck. A head at chance answers only where all are.
    """
    able = {name: f for name, f in course.fitted.items() if f.status != "chance"} or course.fitted
    best = max(able.values(), key=lambda f: f.rank)
    close = [name for name, f in able.items() if f.rank >= (best.interval or (best.rank,))[0]]
    return min(close, key=lambda name: course.figures[name].nll.value)
