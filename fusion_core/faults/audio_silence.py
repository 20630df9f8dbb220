"""A recording without sound, whatever the severity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion_core.faults.fault import Fault, Injection, fault, on_clip
from fusion_core.reading.clips import Clip


def silence(clip: Clip, given: Injection) -> Clip:
    """Return zeros of the clip's length."""
    return replace(clip, samples=np.zeros_like(clip.samples))


fault("audio.silence")(Fault("audio", "missing", on_clip(silence), graded=False))
