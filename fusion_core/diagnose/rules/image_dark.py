"""Exposure: too dark, or washed out."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_dark(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    raw = max(case.below("image.brightness", "image.white"), case.above("image.brightness", "image.white"))
    if raw == 0.0:
        return NOTHING
    how = "dark" if case.z("image.brightness") < 0 else "bright"
    return Score(raw, f"The image is too {how}: mean brightness {case.beside('image.brightness')}.")


rule("image_dark")(
    Rule(
        "image",
        "corrupted",
        image_dark,
        "Check exposure and the colour range (0-1 or 0-255) before the model.",
        ("image_missing",),
    )
)
