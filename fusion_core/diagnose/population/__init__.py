"""What is wrong with many records: one rule per file and one line each, in the order they are asked."""

from collections.abc import Sequence

from fusion_core.diagnose.population.pockets import Finds, population
from fusion_core.diagnose.population.quiet import names_of
from fusion_core.diagnose.population.scans import Progress, Scans
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import Finding

from . import causes  # isort: skip
from . import unexplained  # isort: skip
from . import disagreement  # isort: skip
from . import dominance  # isort: skip
from . import calibration  # isort: skip
from . import drift  # isort: skip

__all__ = [
    "Finds",
    "calibration",
    "causes",
    "disagreement",
    "dominance",
    "drift",
    "findings",
    "population",
    "unexplained",
]


def findings(rows: Sequence[Row], reference: Reference, progress: Progress | None = None) -> list[Finding]:
    """Return what is wrong with many of the rows, each with its slice and days, the most severe first.

    Pockets are scanned for once for each cause, for wrong answers and for each signal of disagreement; `progress` is
    told of each scan, and `scans` says how often there is one where there is none. A mismatch that
    labels gave away is not told a second time by the disagreement of its modalities.
    """
    scans = Scans(rows, len(causes.causes_named(rows)) + 1 + len(names_of(reference)), progress)
    found = [finding for _, find in population.items() for finding in find(rows, reference, scans)]
    told = {(f.modality, f.fault, tuple(f.slice.items())) for f in found if f.rule == "unexplained"}
    kept = [f for f in found if f.rule != "disagreement" or (f.modality, f.fault, tuple(f.slice.items())) not in told]
    return sorted(kept, key=lambda f: -f.severity)
