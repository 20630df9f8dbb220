"""Marks and letters that the reference does not have: what a wrong character encoding leaves."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def text_marks(case: Case) -> Score:
    """Judge whether the text is corrupted by this sign."""
    share = case.value("text.odd_marks")
    if not share > 0.0:
        return NOTHING
    return Score(case.above("text.odd_marks"), f"{share:.1%} of the characters occur in no clean text.")


rule("text_marks")(
    Rule(
        "text",
        "corrupted",
        text_marks,
        "Check the character encoding on the way in: decode as UTF-8, once.",
        (
            "text_missing",
            "text_language",
        ),
    )
)
