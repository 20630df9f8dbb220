"""Repeats: the same audio as in an earlier record, and not the same image."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, REPEATED, Case, Rule, Score, rule


def audio_repeated(case: Case) -> Score:
    """Judge whether the audio is a stale one by the hashes of the last records of its source."""
    earlier = case.repeated("audio")
    if earlier is None or case.repeated("image") is not None:
        return NOTHING
    return Score(REPEATED, f"Record {earlier} had the very same audio.")


rule("audio_repeated")(
    Rule(
        "audio",
        "duplicated",
        audio_repeated,
        "Look for a cache or a failed upload: the audio of an earlier record was sent again.",
    )
)
