"""Blocks: steps on the 8-pixel grid of a lossy codec."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_blocks(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    raw = case.above("image.blockiness", "image.zeroed") if case.z("image.blockiness") > 1.0 else 0.0
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"Steps on the 8-pixel grid exceed others by {case.beside('image.blockiness')} levels; "
        f"{case.value('image.zeroed'):.0%} of the frequencies are rounded away.",
    )


rule("image_blocks")(
    Rule(
        "image",
        "corrupted",
        image_blocks,
        "Raise the quality at which these images are compressed.",
        ("image_missing",),
    )
)
