"""A clip whose header names another sample rate than its samples have: it plays too slow or too fast."""

from __future__ import annotations

from dataclasses import replace

from fusion_core.faults.fault import Fault, Injection, fault, on_clip
from fusion_core.reading.clips import Clip, resample

#: True rate over the header's, as bugs have it: 48 for 44.1 kHz, 22.05 for 16, 24 for 16, 16 for 8, 48 for 16.
RATIOS = (1.088, 1.378, 1.5, 2.0, 3.0)


def wrong_rate(clip: Clip, given: Injection) -> Clip:
    """Play the clip slower by a ratio, or by chance faster; its header stays."""
    ratio = given.amount(RATIOS)
    true = round(clip.rate * ratio) if given.random.random() < 0.5 else round(clip.rate / ratio)
    return replace(clip, samples=resample(clip.samples, clip.rate, true))


fault("audio.rate")(Fault("audio", "out_of_domain", on_clip(wrong_rate)))
