"""The end: sound that stops at full strength."""

from __future__ import annotations

import math

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule

LOUD = -28.0  # dB beside the mean of the clip
DECIBELS = 6.0  # that make one unit of raw score


def audio_cut(case: Case) -> Score:
    """Judge whether the audio is truncated by this sign."""
    usual = case.reference.spreads.get("audio.end")
    if usual is None:
        return NOTHING
    # Clips that fade out are no news where clean ones do; sound 28 dB under the mean is the end of a breath.
    edge = max(LOUD, usual.quantiles[-4])
    raw = (case.value("audio.end") - edge + max(0.0, case.value("audio.last") - edge) / 2) / DECIBELS
    if not raw > 0.0:
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
