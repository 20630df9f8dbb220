"""The one table from names in data to words on screen, and sentences said in more than one place."""

from __future__ import annotations

from collections.abc import Mapping

LABELS = {
    "late": "late",
    "concat": "concat",
    "early": "early",
    "cross_attention": "cross-attention",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
    "fusion": "fusion seam",
    "input": "input seam",
    "cross": "pairs",
    "stream": "stream",
    "self": "self",
    "cls": "summary token",
    "marginal": "marginal donors",
    "completeness_fusion": "completeness",
    "completeness_input": "completeness",
}

NO_ATTENTION = {
    "late": "Late fusion averages each modality's own decision: there is no attention between modalities to draw. "
    "Its ledger is additive, and attributions remain.",
    "concat": "Concat fuses one pooled vector per modality: there is no attention between tokens to draw. "
    "Its ledger and attributions remain.",
}

LEVELS = {
    "late": "fuses decisions",
    "concat": "fuses pooled vectors",
    "early": "fuses encoder tokens",
    "cross_attention": "fuses encoder tokens",
}

NOT_YOURS = (
    "This link leads to an upload. Uploads are seen only in the browser that made them, until the server restarts: "
    "ask its sender for the files, or for the record's place in a shared record set."
)

METHODS = """
**Contributions** are exact Shapley values over the modalities present, against donors drawn from training records.
Interactions are already inside them. **Attention** shows where the model looks, not why it answers; the check beside
a map says whether changing it changes the answer. **Attributions** are signed scores for one class: at the *fusion
seam* they are measured on encoder tokens (fast), at the *input seam* on what was written, seen and heard (slower;
images there by occlusion).
"""


def say(name: str, labels: Mapping[str, str] = LABELS) -> str:
    """Return the words for a name: the table's, or the name with spaces."""
    return labels.get(name, name.replace("_", " "))


def waiting(ahead: int) -> str:
    """Return what is said to somebody whose heavy job waits for others."""
    return f"Waiting: {ahead} heavy {'job' if ahead == 1 else 'jobs'} ahead of yours."
