"""Noise: variation from pixel to pixel where the image should be smooth."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_noise(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    raw = case.above("image.noise", "image.fine_detail")
    if case.z("image.noise") < 1.0:
        return NOTHING
    return Score(raw, f"The image is noisy: standard deviation {10 ** case.value('image.noise'):.4f} of full scale.")


rule("image_noise")(
    Rule(
        "image",
        "corrupted",
        image_noise,
        "Check the camera, its gain and the transmission of these images.",
        ("image_missing",),
    )
)
