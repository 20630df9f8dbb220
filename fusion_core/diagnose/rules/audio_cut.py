"""The end: sound that stops at full strength."""

from __future__ import annotations

import math

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def audio_cut(case: Case) -> Score:
    """Judge whether the audio is truncated by this sign."""
    raw = case.above("audio.end", "audio.last") + case.below("audio.seconds")
    if case.value("audio.end") < -25.0:
        return NOTHING
    return Score(
        raw,
        f"Against the clip's mean the last 50 ms lie at {case.beside('audio.end', 0)} dB, after "
        f"{math.exp(case.value('audio.seconds')):.1f} s.",
    )


rule("audio_cut")(
    Rule(
        "audio",
        "truncated",
        audio_cut,
        "Look for a length limit or a dropped connection while these clips are recorded.",
        (
            "audio_missing",
            "audio_noise",
            "audio_clipping",
            "audio_echo",
        ),
    )
)
