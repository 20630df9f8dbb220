"""Words left out from the end."""

from __future__ import annotations

import numpy as np

from fusion_core.change.kind import Kind, kind

MOST = 40


def counts(text: str) -> tuple[float, ...]:
    """Return how many words are left out: one, two and so on, up to all but one; 40 steps at most."""
    words = len(text.split())
    return tuple(dict.fromkeys(float(round(n)) for n in np.linspace(1, words - 1, min(MOST, words - 1))))


def cut(text: str, words: float, rng: np.random.Generator) -> str:
    """Leave the last words out; none left out is the text as it is."""
    return " ".join(text.split()[: -int(words)]) if words else text


kind("text_cut")(Kind("text", "words", counts, cut))
