"""Nothing to read."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import CERTAIN, NOTHING, Case, Rule, Score, rule


def text_missing(case: Case) -> Score:
    """Judge whether the text is missing by this sign."""
    if "text" in case.absent or case.value("text.letters") == 0.0:
        return Score(CERTAIN, "There is no text: not one letter or digit.")
    return NOTHING


rule("text_missing")(
    Rule(
        "text",
        "missing",
        text_missing,
        "Find where the text is lost before the model; answer without it or not at all.",
    )
)
