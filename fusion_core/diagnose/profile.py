"""Build the profile of clean media: what texts, images and tokens of a set have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fusion_core.diagnose.signals import Profile, Seen
from fusion_core.diagnose.signals.image import LARGEST, colour_histogram, cut_to, palette
from fusion_core.diagnose.signals.text import common_words, labels_of, odd_words, trigrams
from fusion_core.diagnose.signals.tokens import project

LEAST_PIXELS = 5  # of one colour in one image: fewer are a codec's
MOST_VECTORS = 256  # distinct media kept per modality: more would not make the nearest five much nearer


def build_profile(seen: Sequence[Seen]) -> Profile:
    """Return the profile of records; media that several records share count once."""
    texts = list(dict.fromkeys(s.text for s in seen if s.text))
    counts = Counter(triple for text in texts for triple in trigrams(text))
    starts: Counter[str] = Counter()
    for triple, count in counts.items():
        starts[triple[:2]] += count
    function_words, words = common_words(texts)
    words |= {word for s in seen for word in labels_of(s)}
    pictures = [s.pixels for s in seen if s.pixels is not None]
    colours = [colour_histogram(cut_to(p, LARGEST)[::2, ::2]) for p in pictures]
    return Profile(
        trigrams=dict(counts),
        starts=dict(starts),
        function_words=function_words,
        words=words,
        odd_words=_odd_share(seen, words),
        characters=frozenset(c for text in texts for c in text.lower()),
        colours=_distinct(np.stack(colours)) if colours else Profile().colours,
        palette=_palette([cut_to(p, LARGEST) for p in pictures]),
        vectors={m: _distinct(np.stack(own)) for m, own in _vectors(seen).items()},
    )


def _vectors(seen: Sequence[Seen]) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    for one in seen:
        for m, vector in one.pooled.items():
            found.setdefault(m, []).append(project(vector))
    return found


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Return the distinct rows in their order, at most 256 of them, as numbers float16 can hold."""
    rounded = rows.astype(np.float16).astype(np.float32)
    _, first = np.unique(rounded, axis=0, return_index=True)
    return rounded[np.sort(first)[:MOST_VECTORS]]


def _palette(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Return which colours vivid parts have, `bool [4096]`: those of at least two images."""
    counts = np.zeros(16**3, np.int64)
    for pixels in pictures:
        codes, pixels_of = np.unique(palette(pixels), return_counts=True)
        counts[codes[pixels_of >= LEAST_PIXELS]] += 1
    return np.asarray(counts >= 2)


def _odd_share(seen: Sequence[Seen], words: frozenset[str]) -> float:
    """Return the share of odd words in clean texts, each text's words judged by the other texts."""
    texts = {s.text: s for s in seen if s.text}
    spread = Counter(word for one in texts.values() for word in set(labels_of(one)))
    shared = frozenset(word for word, count in spread.items() if count > 1)
    odd = sum(odd_words(one, shared)[0] for one in texts.values())
    count = sum(odd_words(one, words)[1] for one in texts.values())
    return (odd + 1) / (count + 20)
