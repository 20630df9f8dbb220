"""Band and speed: another sample rate, pitch or bandwidth than usual."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def audio_band(case: Case) -> Score:
    """Judge whether the audio is out of domain by this sign."""
    low = case.below("audio.band", "audio.rolloff", "audio.centroid", "audio.pitch", "audio.high_share")
    high = case.above("audio.band", "audio.rolloff", "audio.centroid", "audio.pitch", "audio.high_share")
    raw = max(low, high)
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"95 % of the sound lies below {case.beside('audio.rolloff', 0)} Hz, 99.9 % below "
        f"{case.beside('audio.band', 0)} Hz; pitch {2 ** case.value('audio.pitch'):.0f} Hz.",
    )


rule("audio_band")(
    Rule(
        "audio",
        "out_of_domain",
        audio_band,
        "Check the sample rate: what the file says, what it holds, what the model expects.",
        (
            "audio_missing",
            "audio_noise",
            "audio_clipping",
            "audio_echo",
        ),
    )
)
