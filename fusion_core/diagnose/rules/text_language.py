"""Language: which function words the text has."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule

SURE = 1.5  # -log10 of the chance that the foreign words are names or loans


def text_language(case: Case) -> Score:
    """Judge whether the text is out of domain by this sign."""
    foreign = case.value("text.foreign")
    if not foreign > 0.0:
        return NOTHING
    raw = foreign + case.below("text.function_words") / 2
    if foreign > SURE:  # words of another language look misspelt
        raw += case.value("text.misspelt")
    return Score(
        raw,
        f"{case.value('text.foreign_words'):.0%} of the words are function words of another language; "
        f"share of the reference's own {case.beside('text.function_words')}.",
    )


rule("text_language")(
    Rule(
        "text",
        "out_of_domain",
        text_language,
        "Route this language elsewhere, translate it, or train on it.",
        ("text_missing",),
    )
)
