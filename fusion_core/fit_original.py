"""The foreign model whose encoders a fit uses, beside the strategies: measured on the same validation records."""

from __future__ import annotations

from dataclasses import replace

from fusion_core.asked import MATCH
from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError
from fusion_core.fit import judged_head, wanted_of
from fusion_core.fit_course import Course, Task
from fusion_core.fit_data import FitData
from fusion_core.fit_figures import head_figures
from fusion_core.foreign import ModelStack
from fusion_core.foreign.late import LateHead
from fusion_core.foreign.load import needs_threshold, threshold


def with_original(
    stack: EncoderStack, data: FitData, task: Task, course: Course, default: str
) -> tuple[Course, str, tuple[str, ...]]:
    """Return a course with the encoders' own model as its first strategy, the default, and why it is not among them.

    A model that is surely more accurate than the best strategy becomes the default: what is in use is not replaced by
    what is worse. Agreement with a teacher says nothing of that.
    """
    if not isinstance(stack, ModelStack):
        return course, default, ()
    origin = stack.origin
    why = origin.cannot
    if not why and origin.asked.classes != task.classes:
        why = f"it answers {', '.join(origin.asked.classes)}, in this order"
    if not why:
        why = _thresholded(stack, data, task)
    if why:
        return course, default, (f"the original, {origin.family}, is not among the strategies: {why}",)
    wanted = wanted_of(task.validation, task.classes, task.teacher)
    fitted = judged_head(origin.family, origin.head, task.validation, wanted)
    figures = head_figures(origin.head, task.validation, wanted, task.settings.seed)
    better = task.teacher is None and fitted.measured[1][0] > course.fitted[default].rank
    whole = replace(
        course,
        heads={origin.family: origin.head, **course.heads},
        fitted={origin.family: fitted, **course.fitted},
        figures={origin.family: figures, **course.figures},
    )
    return whole, origin.family if better else default, ()


def _thresholded(stack: ModelStack, data: FitData, task: Task) -> str:
    """Give a match its threshold, from training pairs that belong together; return why it can have none."""
    origin = stack.origin
    head = origin.head.own
    if not needs_threshold(head, origin.asked):
        return ""
    assert isinstance(head, LateHead)
    try:
        bias = threshold(head, origin.own, [r for r in data.train if r.label == MATCH[1]], task.settings.seed)
    except CallError as error:
        return str(error)
    head.bias, stack.bias = bias, float(bias)
    return ""
