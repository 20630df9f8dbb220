"""A voice that comes back from a wall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.faults.fault import Fault, Injection, fault, on_clip
from fusion_core.reading.clips import Clip

GAINS = (0.25, 0.40, 0.55, 0.70, 0.85)  # of the first echo; each later one is as much weaker again
SECONDS = (0.12, 0.28)  # the least and the longest delay


def echo(clip: Clip, given: Injection) -> Clip:
    """Add three echoes at a random delay."""
    delay, gain = round(given.random.uniform(*SECONDS) * clip.rate), given.amount(GAINS)
    heard = clip.samples.astype(np.float64)
    for k in (1, 2, 3):
        if len(heard) > k * delay:
            heard[k * delay :] += gain**k * clip.samples[: len(heard) - k * delay]
    return replace(clip, samples=np.clip(heard, -1.0, 1.0).astype(np.float32))


fault("audio.echo")(Fault("audio", "corrupted", on_clip(echo)))
