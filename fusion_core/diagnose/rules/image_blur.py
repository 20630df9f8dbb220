"""Sharpness: no steep steps, little fine detail beside the coarse."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_blur(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    raw = case.below("image.edge", "image.fine_detail")
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"The image is blurred: at its edges {case.beside('image.edge')} of the rise lies in one step, "
        f"fine detail is 10^{case.beside('image.fine_detail')} times the coarse.",
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
