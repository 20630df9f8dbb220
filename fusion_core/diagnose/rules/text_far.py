"""Distance: well-formed text whose tokens lie far from all clean ones."""

from __future__ import annotations

import math

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def text_far(case: Case) -> Score:
    """Judge whether the text is out of domain by this sign."""
    raw = min(case.above("text.distance"), case.above("text.spread")) * math.sqrt(2)
    if raw == 0.0:
        return NOTHING
    return Score(raw, f"Its tokens lie far from clean ones: distance {case.beside('text.distance')}.")


rule("text_far")(
    Rule(
        "text",
        "out_of_domain",
        text_far,
        "Compare the topic and style of these texts with the training texts.",
        (
            "text_missing",
            "text_spelling",
            "text_marks",
            "text_cut",
        ),
    )
)
