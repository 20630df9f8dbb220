"""Conflict: two modalities, each sure of itself, say different things."""

from __future__ import annotations

from itertools import combinations

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule
from fusion_core.types import MODALITIES

SURE = 0.5  # z of the less confident head: both must be clearer than usual


def pair_conflict(case: Case) -> Score:
    """Judge whether two modalities contradict each other by the divergence of their own heads."""
    found = [
        (case.above(f"pair.{one}+{other}"), one, other)
        for one, other in combinations(MODALITIES, 2)
        if case.z(f"pair.{one}+{other}.sure") > SURE
    ]
    raw, one, other = max(found, default=(0.0, "", ""))
    if raw == 0.0:
        return NOTHING
    between = case.beside(f"pair.{one}+{other}")
    return Score(raw, f"By themselves {one} and {other} give different answers, both sure: divergence {between} bit.")


rule("pair_conflict")(
    Rule(
        "pair",
        "conflict",
        pair_conflict,
        "Read the record: sarcasm, or media that do not belong together.",
        ("damage",),
    )
)
