"""Clipping: samples that stay at the peak."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def audio_clipping(case: Case) -> Score:
    """Judge whether the audio is corrupted by this sign."""
    raw = case.above("audio.clipping") + case.below("audio.crest")
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"{case.value('audio.clipping'):.1%} of the samples stay at the peak; peak over level "
        f"{case.beside('audio.crest', 1)} dB.",
    )


rule("audio_clipping")(
    Rule(
        "audio",
        "corrupted",
        audio_clipping,
        "Lower the recording gain, or stop what amplifies these clips.",
        (
            "audio_missing",
            "audio_noise",
        ),
    )
)
