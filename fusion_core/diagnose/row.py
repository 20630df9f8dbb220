"""One diagnosed record as findings over many see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Row:
    """One diagnosed record as findings see it; `signals` may be few or none, `correct` None without a label.

    confidence: of the answer that `correct` speaks of, of a log the service's; None where it is not known.
    """

    id: str
    modality: str
    fault: str
    rule: str = ""
    timestamp: datetime | None = None
    columns: Mapping[str, str | float] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)
    correct: bool | None = None
    confidence: float | None = None
