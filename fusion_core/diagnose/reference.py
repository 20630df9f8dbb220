"""The reference a record is judged against: each signal's spread over clean validation records, and their profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusion_core.diagnose.signals import Profile

STEPS = 41  # quantiles of each signal, 2.5 % apart


@dataclass(frozen=True)
class Spread:
    """How one signal varies over clean records: its 41 quantiles in steps of 2.5 %, and robust scales to each side."""

    quantiles: tuple[float, ...]
    below: float
    above: float

    @property
    def median(self) -> float:
        """The middle of the clean records."""
        return self.quantiles[len(self.quantiles) // 2]

    def z(self, value: float) -> float:
        """Return the robust z of a value; each side has its own scale, as few signals are symmetric."""
        off = value - self.median
        return off / (self.above if off > 0 else self.below)


@dataclass(frozen=True)
class Reference:
    """Spreads by signal, share of clean records with each modality, profile, and each rule's limit.

    limits: the raw score of a rule that clean records hardly reach; see `calibrate`. repeats: share of clean records
    whose image or audio came before.
    """

    records: int
    strategy: str
    present: Mapping[str, float]
    spreads: Mapping[str, Spread]
    profile: Profile
    limits: Mapping[str, float]
    repeats: Mapping[str, float] = field(default_factory=dict)
