"""A diagnosis told in a case file: its cause, what speaks for it, the repairs tried, and what else it could be."""

from __future__ import annotations

from pathlib import Path

from fusion_core.diagnose.reference_file import load_reference
from fusion_core.diagnose.run import diagnose_record
from fusion_core.errors import ModelError
from fusion_core.model import FusedModel
from fusion_core.types import Diagnosis, Record, Repair
from fusion_core.words import cause_words

Section = tuple[str, list[tuple[str, str]]]
LEAST_SHARE = 0.02  # of belief, below which another cause is not told


def case_sections(model: FusedModel, bundle: Path, record: Record) -> tuple[Section, ...]:
    """Return what a case file says of a record's cause; nothing where the model has no reference to judge it by."""
    try:
        reference = load_reference(bundle, model)
    except ModelError:
        return ()
    said = diagnose_record(model, reference, record)
    return ((f"What went wrong? (signals beside those of {reference.records} clean records)", told(said)),)


def told(said: Diagnosis) -> list[tuple[str, str]]:
    """Return a diagnosis as names with what belongs to each."""
    cause = said.cause
    own = next((c for c in said.clues if (c.modality, c.fault) == (cause.modality, cause.fault)), None)
    found = cause.fault != "none"
    name = cause_words(f"{cause.modality} {cause.fault}") if found else "none found"
    lines = [("Cause", f"{name}, {cause.score:.0%} of belief")]
    if own is not None:
        lines += [("What speaks for it", own.sentence), ("What to do", own.advice)]
    lines += [(f"Repair: {r.modality}, {r.action}", _repair(r)) for r in said.repairs]
    others = [c for c in said.ranked if c is not cause and c.score >= LEAST_SHARE]
    named = [cause_words(f"{c.modality} {c.fault}") if c.fault != "none" else "nothing wrong" for c in others]
    words = ", ".join(f"{name} {c.score:.0%}" for name, c in zip(named, others, strict=True))
    return [*lines, *([("Also possible", words)] if words else [])]


def _repair(repair: Repair) -> str:
    verdict = {True: "fixes it", False: "does not fix it", None: "no label to judge it by"}[repair.fixes]
    return f"answers {repair.prediction}; right {repair.fix_rate:.0%}, control {repair.control:.0%}: {verdict}"
