"""Echo: a delayed copy, and gaps that fill up."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def audio_echo(case: Case) -> Score:
    """Judge whether the audio is corrupted by this sign."""
    raw = case.above("audio.echo") + case.below("audio.fall") / 2
    if raw == 0.0:
        return NOTHING
    return Score(raw, f"A delayed copy stands {case.beside('audio.echo', 1)} deviations out of the cepstrum.")


rule("audio_echo")(
    Rule(
        "audio",
        "corrupted",
        audio_echo,
        "Check echo cancellation and the room of these clips.",
        (
            "audio_missing",
            "audio_noise",
        ),
    )
)
