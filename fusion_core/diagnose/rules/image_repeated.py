"""Repeats: the same image as in an earlier record, and not the same audio."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, REPEATED, Case, Rule, Score, rule


def image_repeated(case: Case) -> Score:
    """Judge whether the image is a stale one by the hashes of the last records of its source."""
    earlier = case.repeated("image")
    if earlier is None or case.repeated("audio") is not None:
        return NOTHING
    return Score(REPEATED, f"Record {earlier} had the very same image.")


rule("image_repeated")(
    Rule(
        "image",
        "duplicated",
        image_repeated,
        "Look for a cache or a failed upload: the image of an earlier record was sent again.",
    )
)
