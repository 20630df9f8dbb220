"""The frame: things cut off by it, or another size and shape than usual."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def image_cut(case: Case) -> Score:
    """Judge whether the image is truncated by this sign."""
    raw = case.above("image.border") + case.below("image.pixels") / 2 + abs(case.z("image.aspect")) / 10
    if raw == 0.0:
        return NOTHING
    return Score(raw, f"The frame cuts through the picture: contrast along its edge {case.beside('image.border', 3)}.")


rule("image_cut")(
    Rule(
        "image",
        "truncated",
        image_cut,
        "Check cropping and aspect ratio before the model.",
        (
            "image_missing",
            "image_blur",
            "image_noise",
            "image_blocks",
            "image_dark",
            "image_channels",
        ),
    )
)
