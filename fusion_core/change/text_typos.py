"""Letters that changed places with the next one."""

from __future__ import annotations

import numpy as np

from fusion_core.change.kind import Kind, kind, steps


def typos(text: str, share: float, rng: np.random.Generator) -> str:
    """Swap a share of the letters with the one after them, in one order for all shares."""
    places = [k for k in range(len(text) - 1) if text[k].isalpha() and text[k + 1].isalpha()]
    letters = list(text)
    chosen = rng.permutation(len(places))[: round(share * len(places))]
    for k in sorted(places[int(c)] for c in chosen):
        letters[k], letters[k + 1] = letters[k + 1], letters[k]
    return "".join(letters)


kind("text_typos")(Kind("text", "of the letters", steps(0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0), typos))
