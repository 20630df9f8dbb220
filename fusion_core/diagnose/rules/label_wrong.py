"""Label: no modality speaks for it, and the model is sure of another class."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def label_wrong(case: Case) -> Score:
    """Judge whether the label is wrong by every own head and the fused answer against it."""
    best = case.value("label.best")
    if not best < 1.0:  # some modality's own first choice is the label, or there is no label
        return NOTHING
    raw = case.below("label.fused", "label.alone") + max(0.0, case.z("model.confidence"))
    if raw == 0.0:
        return NOTHING
    return Score(
        raw,
        f"No modality's first choice is the label; log-odds of the label {case.beside('label.fused')}.",
    )


rule("label_wrong")(
    Rule(
        "label",
        "mislabelled",
        label_wrong,
        "Have the label checked by a second person.",
        ("damage",),
    )
)
