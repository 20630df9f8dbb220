"""A comparison as JSON lines: one per strategy, and the verdict."""

from __future__ import annotations

from fusion_core.compare.result import Comparison, StrategyReport
from fusion_core.compare.result_file import plain
from fusion_core.lines import Line


def strategy_line(report: StrategyReport) -> Line:
    """Return the line of one strategy: every figure of its report; what is not measured is null or empty."""
    return {"kind": "strategy", **plain(report)}


def verdict_line(found: Comparison) -> Line:
    """Return the closing line; needs, strategy and message are null where no verdict can be given."""
    said = found.verdict
    return {
        "kind": "verdict",
        "needs": said and said.needs,
        "strategy": said and said.strategy,
        "message": said and said.message,
        "evidence": plain(said.evidence) if said else {},
        "model": found.model,
        "records": found.records,
        "refused": found.refused,
        "baseline": found.baseline,
        "seed": found.seed,
        "left_out": list(found.left_out),
    }
