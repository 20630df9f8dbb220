"""The end: no closing mark, or the last word broken off."""

from __future__ import annotations

import math

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def text_cut(case: Case) -> Score:
    """Judge whether the text is truncated by this sign."""
    usual = case.reference.spreads.get("text.open_end")
    if usual is None or case.value("text.open_end") != 1.0:
        return NOTHING
    open_share = sum(usual.quantiles) / len(usual.quantiles)
    raw = -math.log(open_share + 0.005) + case.below("text.length") + case.above("text.last_pieces") / 4
    return Score(
        raw if open_share < 0.5 else raw / 4,
        f"The text ends without a closing mark, as {open_share:.0%} of clean texts do, after "
        f"{case.value('text.words'):.0f} words.",
    )


rule("text_cut")(
    Rule(
        "text",
        "truncated",
        text_cut,
        "Look for a length limit on the way in, and raise it or split the text.",
        (
            "text_missing",
            "text_spelling",
            "text_marks",
            "text_language",
        ),
    )
)
