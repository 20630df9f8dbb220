"""The end of a clip cut off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.change.kind import Kind, kind, steps
from fusion_core.reading.clips import Clip


def cut(clip: Clip, share: float, rng: np.random.Generator) -> Clip:
    """Cut a share of the clip off its end."""
    return replace(clip, samples=clip.samples[: max(1, round(len(clip.samples) * (1 - share)))])


kind("audio_cut")(Kind("audio", "of the clip", steps(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95), cut))
