"""What signals are measured on: a record's decoded media, its tokens, and what each modality says by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fusion_core.registry import Registry

RATE = 16_000
COLOURS = 64


@dataclass(frozen=True)
class Seen:
    """One record as it arrived. Any part may be None where the modality is absent or not decoded.

    pixels: `uint8 [H, W, 3]`. samples: `float32 [N]` mono at 16 kHz. rate: the audio file's own rate, Hz.
    words, pieces: the words the text encoder reads, and into how many pieces it breaks each, `[T]`. pooled: mean
    encoder token per modality, `float32 [D]`. alone: what each modality's own head says, probabilities `[C]`.
    fused: the model's answer, probabilities `[C]`. joint: the mean
    answer of its most accurate strategies. label: index of the true class.
    """

    text: str | None = None
    pixels: np.ndarray | None = None
    samples: np.ndarray | None = None
    rate: int = RATE
    words: tuple[str, ...] = ()
    pieces: np.ndarray | None = None
    pooled: Mapping[str, np.ndarray] = field(default_factory=dict)
    alone: Mapping[str, np.ndarray] = field(default_factory=dict)
    fused: np.ndarray | None = None
    joint: np.ndarray | None = None
    label: int | None = None

    def has(self, modality: str) -> bool:
        """Return whether the record came with a modality."""
        return {"text": self.text, "image": self.pixels, "audio": self.samples}[modality] is not None


@dataclass(frozen=True)
class Profile:
    """What clean media look like, as far as a signal needs more than numbers of its own.

    trigrams: counts of character triples; starts: of their first two characters. function_words: the commonest words.
    words: all words seen. odd_words: the share of odd words, see `text.odd_words`. characters: all seen, lower case.
    colours: colour histograms of distinct images, `float32 [N, 64]`, square-rooted. palette: which of 4,096 colours
    vivid parts have, `bool`. vectors: projected pooled tokens of distinct media per modality, `float32 [N, P]`.
    """

    trigrams: Mapping[str, int] = field(default_factory=dict)
    starts: Mapping[str, int] = field(default_factory=dict)
    function_words: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    odd_words: float = 0.05
    characters: frozenset[str] = frozenset()
    colours: np.ndarray = field(default_factory=lambda: np.zeros((0, COLOURS), np.float32))
    palette: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)


Measure = Callable[[Seen, Profile], dict[str, float]]
signals: Registry[Measure] = Registry("signal family")
