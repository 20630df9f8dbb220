"""Mismatch: sound modalities from which no strategy can make an answer, as when what is asked for is not there."""

from __future__ import annotations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def pair_mismatch(case: Case) -> Score:
    """Judge whether modalities belong to different records by how unsure several strategies are together."""
    raw = case.above("pair.unsure")
    if raw == 0.0:
        return NOTHING
    return Score(raw, f"Several strategies together are unsure: entropy {case.beside('pair.unsure')} bit.")


rule("pair_mismatch")(
    Rule(
        "pair",
        "mismatched",
        pair_mismatch,
        "Check how media are joined to this record: they may be another record's.",
        ("damage", "pair_conflict", "label_wrong"),
    )
)
