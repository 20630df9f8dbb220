"""Nothing to hear: no clip, or silence."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import CERTAIN, NOTHING, Case, Rule, Score, rule

SILENT = -60.0  # dBFS


def audio_missing(case: Case) -> Score:
    """Judge whether the audio is missing by this sign."""
    if "audio" in case.absent:
        return Score(CERTAIN, "There is no audio.")
    if case.value("audio.level") < SILENT:
        return Score(CERTAIN, f"The clip is silent: {case.value('audio.level'):.0f} dBFS.")
    return NOTHING


rule("audio_missing")(
    Rule(
        "audio",
        "missing",
        audio_missing,
        "Find where the sound is lost before the model; answer without it or not at all.",
    )
)
