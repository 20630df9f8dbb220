"""A microphone turned up too far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.faults.fault import Fault, Injection, fault, on_clip
from fusion_core.reading.clips import Clip

GAINS = (6, 10, 14, 18, 24)  # dB by which the loudest moment passes full scale


def overdrive(clip: Clip, given: Injection) -> Clip:
    """Amplify beyond full scale and cut off what passes it; silence stays silence."""
    peak = float(np.abs(clip.samples).max(initial=0.0))
    if peak == 0.0:
        return clip
    gain = 10 ** (given.amount(GAINS) / 20) / peak
    return replace(clip, samples=np.clip(clip.samples * gain, -1.0, 1.0).astype(np.float32))


fault("audio.clip")(Fault("audio", "corrupted", on_clip(overdrive)))
