"""What is wrong with a record, or with many: causes, the clues for them, repair tests and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusion_core.types.record import MODALITIES

#: Every cause a diagnosis may name, as (modality, fault).
CAUSES: tuple[tuple[str, str], ...] = (
    ("none", "none"),
    *((m, f) for m in MODALITIES for f in ("missing", "corrupted", "out_of_domain", "truncated", "dominated")),
    ("image", "duplicated"),
    ("audio", "duplicated"),
    ("pair", "mismatched"),
    ("pair", "conflict"),
    ("pair", "duplicated"),
    ("label", "mislabelled"),
    ("model", "dominated"),
)


@dataclass(frozen=True)
class Cause:
    """A modality and its fault with the share of belief it gets, 0 to 1."""

    modality: str
    fault: str
    score: float


@dataclass(frozen=True)
class Clue:
    """What one rule saw: strength 1 lies at the edge of what clean records show, 2 twice as far out."""

    rule: str
    modality: str
    fault: str
    strength: float
    sentence: str
    advice: str = ""


@dataclass(frozen=True)
class Repair:
    """What happens to the answer when one modality is replaced by clean donors of the wanted class.

    fix_rate: share of donors after which the wanted class is answered. control: the same for the best control.
    prediction: the commonest answer with the donors. fixes: None without a label.
    """

    modality: str
    action: str
    prediction: str
    fix_rate: float
    control: float
    fixes: bool | None


@dataclass(frozen=True)
class Diagnosis:
    """A record's most likely cause, all causes ranked (scores sum to 1), the clues, and the repairs tried."""

    record_id: str
    cause: Cause
    ranked: tuple[Cause, ...]
    clues: tuple[Clue, ...] = ()
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something wrong with many records at once.

    severity: 0 to 1. since, until: its first and last day (ISO); None: before the first row, after the last.
    slice: the columns and values it is confined to, empty for all records.
    lift: how much commoner the trouble is there than elsewhere.
    """

    rule: str
    modality: str
    fault: str
    severity: float
    message: str
    advice: str
    record_ids: tuple[str, ...]
    lift: float | None = None
    since: str | None = None
    until: str | None = None
    slice: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, float | str | None] = field(default_factory=dict)
