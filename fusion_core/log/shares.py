"""What a probability and a confidence may be in a log, whoever brings them: the one rule of recorder and import."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_core.errors import RecordError

#: How far outside 0 to 1 a probability may lie, and how far from 1 their sum, that were rounded on their way.
ROUNDING, SUM_ROUNDING = 1e-3, 1e-2


def check_shares(values: Sequence[float], classes: int) -> None:
    """Raise RecordError `metadata_damaged` unless there is a probability for each class, and they sum to 1."""
    if len(values) != classes:
        raise RecordError(f"has {len(values)} probabilities for {classes} classes", "metadata_damaged")
    if not all(-ROUNDING <= p <= 1.0 + ROUNDING for p in values):
        raise RecordError("has a probability that is not from 0 to 1", "metadata_damaged")
    if not abs(sum(values) - 1.0) <= SUM_ROUNDING:
        raise RecordError(f"has probabilities that sum to {sum(values):.4g}, not to 1", "metadata_damaged")


def check_confidence(value: float) -> None:
    """Raise RecordError `metadata_damaged` unless a confidence is from 0 to 1."""
    if not -ROUNDING <= value <= 1.0 + ROUNDING:
        raise RecordError(f"has a confidence of {value:g}; allowed are 0 to 1", "metadata_damaged")
