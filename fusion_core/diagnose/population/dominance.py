"""One modality overrules the others more often than on clean records: a statement about many, never about one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.diagnose.population.pockets import Event, events, population
from fusion_core.diagnose.population.scans import Scans
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import Finding

LEAST_ROWS = 500
LEAST_RISE = 0.05  # of the share overruled, below which a rise is of no interest
END = ".overrules"


@population("dominance")
def dominance(rows: Sequence[Row], reference: Reference, scans: Scans) -> list[Finding]:
    """Return the modalities whose answer was followed against all others clearly more often than on clean records."""
    found = list[Finding]()
    for name in (n for n in reference.spreads if n.endswith(END)):
        own = [r for r in rows if r.fault == "none" and name in r.signals]
        if len(own) < LEAST_ROWS:
            continue
        modality = name.split(".")[1]
        hits = np.array([r.signals[name] > 0.5 for r in own])
        usual = float(np.mean(reference.spreads[name].quantiles))
        if float(hits.mean()) < usual + LEAST_RISE:
            continue
        event = Event("dominance", modality, "dominated", own, hits, usual, f"{modality.capitalize()} alone decides",
                      f"Compare fusions that weigh {modality} less, and see whether its own answers hold.")  # fmt: skip
        found += events(event, ())
    return found
