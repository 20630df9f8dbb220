"""Colour: unlike all clean images, but like them once its channels change places."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule

UNDONE = 0.25  # of the unusual colours may be left after a swap


def image_channels(case: Case) -> Score:
    """Judge whether the image is corrupted by this sign."""
    gain = case.value("image.colour_swapped")
    undone = case.value("image.new_swapped") < UNDONE * case.value("image.new_colours")
    if not (gain > 0.0 and undone):
        return NOTHING
    raw = case.above("image.colour_swapped", "image.new_colours")
    return Score(
        raw,
        f"With its colour channels in another order it would be {case.value('image.colour_swapped'):.2f} nearer "
        "to clean images.",
    )


rule("image_channels")(
    Rule(
        "image",
        "corrupted",
        image_channels,
        "Check the channel order (RGB or BGR) of what reads these images.",
        ("image_missing",),
    )
)
