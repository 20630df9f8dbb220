"""Sentences the dashboard says in more than one place, beside the words that all who show results share."""

from __future__ import annotations

from collections.abc import Iterable

from fusion_core.reading.texts import show_text
from fusion_core.types import Trace
from fusion_core.words import AS_LOADED, LABELS, LEVELS, NO_ATTENTION, UNHEARD, begin, cut, say

__all__ = [
    "LABELS",
    "LEVELS",
    "METHODS",
    "NOT_YOURS",
    "NO_ATTENTION",
    "NO_LOG",
    "NO_MODEL",
    "begin",
    "cut",
    "no_such_model",
    "say",
    "waiting",
    "without_attention",
]

NO_MODEL = "There is no model to show. Run `python -m sample_data.make`, or start with `--model BUNDLE`."

NO_LOG = (
    "There is no prediction log to show. Make one with `python -m fusion_core sweep`, `import` or the recorder, and "
    "start with `--log LOG`."
)

NOT_YOURS = (
    "This link leads to an upload that was made in another browser, or is no longer kept here: uploads are seen only "
    "in the browser that made them, the last few of each, until the server restarts. Upload the files again, or ask "
    "the link's sender for them."
)

METHODS = """
**Contributions** are exact Shapley values over the modalities present, against donors drawn from training records; for
a model that was not fitted here, from the record set it was opened with. Interactions are already inside them.
**Attention** shows where the model looks, not why it answers; the check beside a map says whether changing it changes
the answer. **Attributions** are signed scores for one class: at the *fusion seam* they are measured on encoder tokens
(fast), at the *input seam* on what was written, seen and heard (slower; images there by occlusion).
"""


def without_attention(strategy: str, trace: Trace | None) -> str:
    """Return why a strategy shows no attention between tokens; empty where it does, or may when it answers."""
    if strategy in NO_ATTENTION or trace is None:
        return NO_ATTENTION.get(strategy, "")
    return "" if any(found.kind == "attention" for found in trace.attention) else UNHEARD


def no_such_model(name: str) -> str:
    """Return what is said of a link to a model that is not in the picker."""
    return (
        f"This link names the model {cut(show_text(name), 60)}, which is not opened here. A model that was fitted on "
        "this server is seen only in the browser that fitted it, the last four of each, until the server restarts."
    )


def tracing(statuses: Iterable[str]) -> str:
    """Return what is said while a record is traced under strategies of these statuses."""
    if AS_LOADED in statuses:
        return "Tracing the record: a second with a small model, a minute or more with a large one on a processor."
    return "Tracing the record under every strategy: about a second."


def waiting(ahead: int) -> str:
    """Return what is said to somebody whose heavy job waits for others."""
    return f"Waiting: {ahead} heavy {'job' if ahead == 1 else 'jobs'} ahead of yours."
