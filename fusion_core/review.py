"""Which labels to look at again: records whose label the other records argue against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suspect:
    """A record whose label may be wrong.

    belief: out-of-fold probability of its own label. self_influence: share of records with a lower one, 0 to 1.
    score: ranks suspects, the most suspect first.
    """

    id: str
    label: str
    suggested: str
    belief: float
    self_influence: float
    score: float
