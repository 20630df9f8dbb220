"""Noise: a floor that never falls silent, a flat spectrum."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def audio_noise(case: Case) -> Score:
    """Judge whether the audio is corrupted by this sign."""
    raw = case.above("audio.valleys", "audio.flatness") + case.below("audio.snr") / 4
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"Loud and quiet frames are {case.beside('audio.snr', 0)} dB apart; the valleys of the spectrum "
        f"lie at {case.beside('audio.valleys', 0)} dB under sound.",
    )


rule("audio_noise")(
    Rule(
        "audio",
        "corrupted",
        audio_noise,
        "Check the microphone, the line and the room of these clips.",
        ("audio_missing",),
    )
)
