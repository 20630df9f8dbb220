"""Spelling: words that break into more pieces, letters in an order the reference seldom has."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def text_spelling(case: Case) -> Score:
    """Judge whether the text is corrupted by this sign."""
    raw = max(0.0, case.value("text.misspelt")) + max(0.0, case.z("text.surprise")) / 2
    raw += case.above("text.strange_inside") / 4
    if raw <= 0.0:
        return NOTHING
    return Score(
        raw,
        f"Letters follow each other as they seldom do: surprise {case.beside('text.surprise')} nats, "
        f"{case.beside('text.pieces')} word pieces a word.",
    )


rule("text_spelling")(
    Rule(
        "text",
        "corrupted",
        text_spelling,
        "Look at what types, transcribes or scans the text: its words are misspelt or garbled.",
        (
            "text_missing",
            "text_language",
            "text_marks",
        ),
    )
)
