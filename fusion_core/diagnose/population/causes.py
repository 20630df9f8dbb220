"""Causes that were named for single records: where and since when each is commoner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.diagnose.population.pockets import Event, finding, pocket_of, population
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.rules import rule
from fusion_core.types import Finding

CLEAN_RATE = 0.03  # of any one cause among clean records, an upper bound


@population("causes")
def causes(rows: Sequence[Row], reference: Reference) -> list[Finding]:
    """Return a finding for every cause that is in a pocket, or commoner than false alarms are."""
    found = []
    for modality, fault in dict.fromkeys((r.modality, r.fault) for r in rows if r.fault != "none"):
        event = _event(rows, modality, fault)
        found.append(finding(event, pocket_of(rows, event.hits)))
    return [one for one in found if one is not None]


def _event(rows: Sequence[Row], modality: str, fault: str) -> Event:
    hits = np.array([(r.modality, r.fault) == (modality, fault) for r in rows])
    names = [r.rule for r, hit in zip(rows, hits, strict=True) if hit and r.rule]
    name = max(set(names), key=names.count) if names else f"{modality}_{fault}"
    what = f"{modality} {fault.replace('_', ' ')}".capitalize()
    return Event(name, modality, fault, rows, hits, CLEAN_RATE, what, rule[name].advice if name in rule else "")
