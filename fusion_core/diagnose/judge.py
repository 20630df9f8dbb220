"""Weigh the rules: each rule's strength beside its limit, and all causes ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.repair import verdict
from fusion_core.diagnose.rules import Case, Rule, Score, rule
from fusion_core.types import CAUSES, MODALITIES, Cause, Clue, Diagnosis, Repair

SHARPNESS = 3.0  # a cause twice as strong as another is 8 times as likely
LEAST_STRENGTH = 0.15  # of causes nothing speaks for, so that the ranking is complete
STRONGEST = 20.0
DAMAGE = "damage"
YIELDING = 2.0


def clues(case: Case) -> list[Clue]:
    """Return what every rule says of a case, strongest first; strength 1 is a rule's limit."""
    found = {name: _clue(name, one, one.judge(case), case.reference) for name, one in rule.items()}
    settled = [_settled(clue, _explaining(rule[name], found)) for name, clue in found.items()]
    return sorted((clue for clue in settled if clue.strength > 0), key=lambda clue: -clue.strength)


def rank(found: Sequence[Clue]) -> tuple[Cause, ...]:
    """Rank every cause by its strongest clue, likeliest first; scores sum to 1.

    Nothing wrong has strength 1, so that it leads unless a rule passed its limit.
    """
    strength = dict.fromkeys(CAUSES, LEAST_STRENGTH) | {("none", "none"): 1.0}
    for clue in found:
        key = (clue.modality, clue.fault)
        strength[key] = max(strength[key], min(clue.strength, STRONGEST))
    total = sum(value**SHARPNESS for value in strength.values())
    ranked = [Cause(m, f, value**SHARPNESS / total) for (m, f), value in strength.items()]
    return tuple(sorted(ranked, key=lambda cause: -cause.score))


def diagnosis(record_id: str, case: Case) -> Diagnosis:
    """Return the diagnosis of one case."""
    found = clues(case)
    ranked = rank(found)
    return Diagnosis(record_id, ranked[0], ranked, tuple(found))


def with_repairs(said: Diagnosis, repairs: tuple[Repair, ...]) -> Diagnosis:
    """Return a diagnosis led by its repairs: among causes past their limits, the one whose modality was repaired.

    A repair alone accuses nobody: replacing a sound modality helps too where another contradicts the label.
    """
    led = verdict(repairs)
    if led is None or said.cause.fault == "none":
        return replace(said, repairs=repairs)
    modality, lead = led
    found = [
        replace(c, strength=c.strength * (1.0 + lead)) if c.modality == modality and c.strength >= 1.0 else c
        for c in said.clues
    ]
    ranked = rank(found)
    return replace(said, cause=ranked[0], ranked=ranked, repairs=repairs)


def _clue(name: str, one: Rule, score: Score, reference: Reference) -> Clue:
    strength = score.raw / reference.limits.get(name, 1.0)
    return Clue(name, one.modality, one.fault, strength, score.sentence, one.advice)


def _explaining(one: Rule, found: Mapping[str, Clue]) -> list[Clue]:
    """Return the clues a rule yields to: the rules it names; `damage` stands for those about any one modality."""
    damage = [clue for clue in found.values() if clue.modality in MODALITIES] if DAMAGE in one.yields_to else []
    return damage + [found[other] for other in one.yields_to if other != DAMAGE]


def _settled(clue: Clue, explaining: Sequence[Clue]) -> Clue:
    """Return a clue weakened by the rules that would explain it, as far as they passed their own limits."""
    explained = max((other.strength for other in explaining), default=0.0)
    return replace(clue, strength=clue.strength / max(1.0, explained) ** YIELDING)
