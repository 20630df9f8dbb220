"""Similar records as the viewer takes them: who is near under each strategy, and each record's media once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.views import media
from dashboard.views.labels import cut
from dashboard.views.picker import answers_by_id
from fusion_core.reading.texts import show_text
from fusion_core.types import Record

THUMBNAIL = 120  # pixels
WAVE_COLUMNS = 80
LONGEST_TEXT = 140


@dataclass(frozen=True)
class Near:
    """A record near another one: `similarity` is the cosine in the fused space of `strategy`."""

    strategy: str
    id: str
    similarity: float


@dataclass(frozen=True)
class Glimpse:
    """What is shown of a similar record: pixels `uint8 [H, W, 3]`, samples `float32 [N]` at `rate`; None: absent."""

    record: Record
    pixels: np.ndarray | None = None
    samples: np.ndarray | None = None
    rate: int = 0


def similar(near: Sequence[Near], glimpses: Mapping[str, Glimpse], answers: pd.DataFrame | None) -> dict[str, Any]:
    """Return the neighbours per strategy, nearest first, and the records they name."""
    said = {strategy: answers_by_id(answers, strategy) for strategy in {n.strategy for n in near}}
    lists: dict[str, list[dict[str, Any]]] = {n.strategy: [] for n in near}
    for n in near:
        answer = said[n.strategy].get(n.id, {})
        lists[n.strategy].append(
            {
                "id": n.id,
                "similarity": round(n.similarity, 4),
                "prediction": answer.get("prediction"),
                "confidence": answer.get("confidence"),
            }
        )
    return {"near": lists, "records": {id: _record(glimpse) for id, glimpse in glimpses.items()}}


def _record(glimpse: Glimpse) -> dict[str, Any]:
    text = show_text(glimpse.record.text or "")
    wave = None
    if glimpse.samples is not None and glimpse.rate:
        wave = {
            "peaks": media.base64_of(media.peaks(glimpse.samples, WAVE_COLUMNS)),
            "seconds": len(glimpse.samples) / glimpse.rate,
        }
    return {
        "text": cut(text, LONGEST_TEXT),
        "name": show_text(glimpse.record.id),
        "label": None if glimpse.record.label is None else show_text(glimpse.record.label),
        "image": None if glimpse.pixels is None else media.webp_uri(glimpse.pixels, THUMBNAIL),
        "wave": wave,
    }
