"""A recording that ends too early."""

from __future__ import annotations

from dataclasses import replace

from fusion_core.faults.fault import KEPT, Fault, Injection, fault, on_clip
from fusion_core.reading.clips import Clip


def cut(clip: Clip, given: Injection) -> Clip:
    """Keep the first part, at least one sample."""
    return replace(clip, samples=clip.samples[: max(1, round(given.amount(KEPT) * len(clip.samples)))])


fault("audio.cut")(Fault("audio", "truncated", on_clip(cut)))
