"""What a rule is given, what it returns, and the shelf rules stand on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fusion_core.diagnose.reference import Reference
from fusion_core.registry import Registry

FARTHEST = 30.0  # a z beyond it says no more
USUAL_REPEATS = 0.02  # share of clean records that repeat an image or clip, above which it is no evidence
REPEATED = 20.0  # raw score of the same bytes again
CERTAIN = 1_000.0  # raw score of what needs no statistics: nothing was sent


@dataclass(frozen=True)
class Case:
    """One record's signals beside their reference, with its media's hashes and those of earlier records."""

    signals: Mapping[str, float]
    reference: Reference
    absent: frozenset[str] = frozenset()
    repeats: Mapping[str, str] = field(default_factory=dict)

    def z(self, name: str) -> float:
        """Return a signal's robust z, 0 where the record or the reference has none."""
        spread = self.reference.spreads.get(name)
        value = self.signals.get(name)
        if spread is None or value is None or not math.isfinite(value):
            return 0.0
        return spread.z(value)

    def above(self, *names: str) -> float:
        """Return how far signals lie above the reference: the root of their squared z beyond 1 each."""
        return math.sqrt(sum(min(max(0.0, self.z(name) - 1.0), FARTHEST) ** 2 for name in names))

    def below(self, *names: str) -> float:
        """Return how far signals lie below the reference, as `above`."""
        return math.sqrt(sum(min(max(0.0, -self.z(name) - 1.0), FARTHEST) ** 2 for name in names))

    def value(self, name: str) -> float:
        """Return a signal, NaN where the record has none."""
        return self.signals.get(name, math.nan)

    def repeated(self, modality: str) -> str | None:
        """Return the id of an earlier record with the same image or clip; None where clean records repeat too."""
        usual = self.reference.repeats.get(modality, 0.0)
        return self.repeats.get(modality) if usual <= USUAL_REPEATS else None

    def beside(self, name: str, digits: int = 2) -> str:
        """Return a signal with its reference, for a sentence: `3.10 (clean records: 1.20)`."""
        spread = self.reference.spreads.get(name)
        usual = f" (clean records: {spread.median:.{digits}f})" if spread else ""
        return f"{self.value(name):.{digits}f}{usual}"


@dataclass(frozen=True)
class Score:
    """A rule's raw score, 0 for nothing, with the sentence that says why in numbers."""

    raw: float
    sentence: str = ""


NOTHING = Score(0.0)


@dataclass(frozen=True)
class Rule:
    """One cause and how it is seen in a case; what a rule in `yields_to` explains is no news any more."""

    modality: str
    fault: str
    judge: Callable[[Case], Score]
    advice: str
    yields_to: tuple[str, ...] = ()


rule: Registry[Rule] = Registry("rule")
