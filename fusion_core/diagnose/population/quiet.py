"""Rows without a cause of their own, and the signals by which their modalities disagree."""

from __future__ import annotations

import re

from fusion_core.diagnose.reference import Reference

#: Faults of rows that may still be mismatched: whatever else is wrong explains a disagreement.
QUIET = ("none", "conflict", "mislabelled", "mismatched")
ADVICE = "Check how media are joined to records: in this slice they may belong to others."
_PAIR = re.compile(r"pair\.\w+\+\w+")


def names_of(reference: Reference) -> list[str]:
    """Return the signals of disagreement: of each modality with the rest, or of the one pair there is."""
    rest = [name for name in reference.spreads if name.startswith("pair.") and name.endswith(".rest")]
    return rest or [name for name in reference.spreads if _PAIR.fullmatch(name)]


def odd_one(name: str) -> str:
    """Return a disagreement in words."""
    subject = name.split(".")[1]
    if name.endswith(".rest"):
        return f"{subject} disagrees with the others"
    return f"{subject.replace('+', ' and ')} disagree"
