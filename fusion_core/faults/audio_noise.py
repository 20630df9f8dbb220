"""Hiss under a voice."""

from __future__ import annotations

from fusion_core.change.audio_noise import noise
from fusion_core.faults.fault import Fault, Injection, fault, on_clip
from fusion_core.reading.clips import Clip

RATIOS = (20, 15, 10, 5, 0)  # dB, signal to noise


def hiss(clip: Clip, given: Injection) -> Clip:
    """Add white noise."""
    return noise(clip, given.amount(RATIOS), given.random)


fault("audio.noise")(Fault("audio", "corrupted", on_clip(hiss)))
