"""Causes that were named for single records: where and since when each is commoner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.diagnose.population.pockets import Event, events, population
from fusion_core.diagnose.population.scans import HALF, Scans
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.rules import rule
from fusion_core.types import Finding

CLEAN_RATE = 0.03  # of any one cause among clean records, an upper bound


@population("causes")
def causes(rows: Sequence[Row], reference: Reference, scans: Scans) -> list[Finding]:
    """Return findings of every cause: one for each of its pockets, else one where it is commoner than false alarms."""
    found, every = list[Finding](), range(len(rows))
    for modality, fault in (named := causes_named(rows)):
        event = _event(rows, modality, fault, HALF / len(named))
        found += events(event, scans.pockets(every, event.hits, event.level))
    return found


def causes_named(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return the causes that rows have, modality and fault, in the order they came up."""
    return list(dict.fromkeys((r.modality, r.fault) for r in rows if r.fault != "none"))


def _event(rows: Sequence[Row], modality: str, fault: str, level: float) -> Event:
    hits = np.array([(r.modality, r.fault) == (modality, fault) for r in rows])
    names = [r.rule for r, hit in zip(rows, hits, strict=True) if hit and r.rule]
    name = max(set(names), key=names.count) if names else f"{modality}_{fault}"
    what, advice = f"{modality} {fault.replace('_', ' ')}".capitalize(), rule[name].advice if name in rule else ""
    return Event(name, modality, fault, rows, hits, CLEAN_RATE, what, advice, level)
