"""How fast accuracy falls as a fault grows, as the evaluation code of MultiBench measures it (Liang 2021).

`relative_robustness_helper` there is the area under the curve by trapezoids; `effective_robustness_helper` sums over
the levels of noise how much the curve lies above late fusion's, moved to begin where the curve begins. Both are given
here per unit of severity, and without the scaling to 0-1 between the methods that happen to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.compare.quality import answered, share
from fusion_core.compare.result import Curve, Measured
from fusion_core.faults import fault


def curves(
    kind: str,
    severities: Sequence[int],
    strategies: Sequence[str],
    clean: np.ndarray,
    damaged: Sequence[tuple[np.ndarray, np.ndarray]],
    truth: np.ndarray,
    seed: int = 0,
) -> dict[str, Curve]:
    """Return every strategy's curve under a kind of fault; nothing where no record could be damaged.

    clean: logits `[S, N, C]`; damaged: per severity the same and which records have it. Every point of a curve is
    measured on the same records: those damaged at every severity.
    """
    rows = np.logical_and.reduce([there for _, there in damaged])
    if not rows.any():
        return {}
    points = {
        s: [
            share((answered(logits[k][rows]) == truth[rows]).astype(np.float64), seed)
            for logits in (clean, *(d for d, _ in damaged))
        ]
        for k, s in enumerate(strategies)
    }
    late = [p.value for p in points["late"]] if "late" in points else None
    levels = (0, *severities)
    return {s: _curve(kind, levels, own, late, int(rows.sum())) for s, own in points.items()}


def _curve(kind: str, levels: tuple[int, ...], points: Sequence[Measured], late: list[float] | None, n: int) -> Curve:
    heights = [p.value for p in points]
    return Curve(
        kind=kind,
        modality=fault[kind].modality,
        severities=levels,
        accuracy=tuple(points),
        relative=relative_robustness(levels, heights),
        effective=None if late is None else effective_robustness(heights, late),
        records=n,
        graded=fault[kind].graded,
    )


def relative_robustness(levels: Sequence[int], heights: Sequence[float]) -> float:
    """Return the mean height of a curve: the area under it by trapezoids, its levels scaled to 0-1."""
    widths = np.diff(levels) / (levels[-1] - levels[0])
    return float((widths * (np.array(heights[:-1]) + np.array(heights[1:])) / 2).sum())


def effective_robustness(heights: Sequence[float], late: Sequence[float]) -> float:
    """Return by how much less a curve falls than late fusion's, on average over the levels after the first."""
    own, theirs = np.array(heights), np.array(late)
    return float(((own - own[0]) - (theirs - theirs[0]))[1:].mean())
