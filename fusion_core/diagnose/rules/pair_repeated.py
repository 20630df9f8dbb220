"""Repeats: the same image and the same clip as in an earlier record."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, REPEATED, Case, Rule, Score, rule


def pair_repeated(case: Case) -> Score:
    """Judge whether the whole record came before by the hashes of the last records of its source."""
    image, audio = case.repeated("image"), case.repeated("audio")
    if image is None or audio is None:
        return NOTHING
    return Score(REPEATED, f"Record {image} had the very same image, and record {audio} the very same clip.")


rule("pair_repeated")(
    Rule(
        "pair",
        "duplicated",
        pair_repeated,
        "Look for a record that is sent twice.",
    )
)
