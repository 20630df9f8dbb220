"""Nothing to see: no image, or one constant colour."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import CERTAIN, NOTHING, Case, Rule, Score, rule

FLAT = 0.0015  # standard deviation of the grey level: less than half of one of 256 steps


def image_missing(case: Case) -> Score:
    """Judge whether the image is missing by this sign."""
    if "image" in case.absent:
        return Score(CERTAIN, "There is no image.")
    if case.value("image.contrast") < FLAT:
        return Score(CERTAIN, f"The image is one flat colour: contrast {case.value('image.contrast'):.4f}.")
    return NOTHING


rule("image_missing")(
    Rule(
        "image",
        "missing",
        image_missing,
        "Find where the image is lost before the model; answer without it or not at all.",
    )
)
