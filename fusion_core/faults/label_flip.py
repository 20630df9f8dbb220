"""A label that is wrong: another class of the set; whatever the severity."""

from __future__ import annotations

from dataclasses import replace

from fusion_core.faults.fault import Fault, Injection, fault
from fusion_core.types import Record


def flip(given: Injection) -> Record | None:
    """Give the record one of the other labels there are, each as likely."""
    others = sorted({r.label for r in given.records if r.label is not None} - {given.record.label})
    if given.record.label is None or not others:
        return None
    return replace(given.record, label=str(given.random.choice(others)))


fault("label.flip")(Fault("label", "mislabelled", flip, graded=False))
