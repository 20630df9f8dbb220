"""White noise under a clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.change.kind import Kind, kind, steps
from fusion_core.reading.clips import Clip


def noise(clip: Clip, ratio: float, rng: np.random.Generator) -> Clip:
    """Add white noise at a signal-to-noise ratio in dB over the whole clip; silence stays silence."""
    level = float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64)))) if len(clip.samples) else 0.0
    added = rng.standard_normal(len(clip.samples)) * level * 10 ** (-ratio / 20)
    return replace(clip, samples=np.clip(clip.samples + added, -1, 1).astype(np.float32))


kind("audio_noise")(Kind("audio", "dB SNR", steps(30, 25, 20, 15, 12, 9, 6, 3, 0, -3, -6, -10), noise))
