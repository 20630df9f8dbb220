"""Sharpness: no steep steps, little fine detail beside the coarse."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_blur(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    raw = case.below("image.steepest", "image.fine_detail", "image.sharpness")
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"The image is blurred: steepest step 10^{case.beside('image.steepest')}, "
        f"fine against coarse detail 10^{case.beside('image.fine_detail')}.",
    )


rule("image_blur")(
    Rule(
        "image",
        "corrupted",
        image_blur,
        "Check focus, resizing and thumbnailing before the model.",
        (
            "image_missing",
            "image_dark",
        ),
    )
)
