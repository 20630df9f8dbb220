"""All that is known about one record under one strategy, in numpy only."""

from __future__ import annotations

from dataclasses import dataclass

from fusion_core.types.explanation import AttentionMap, AttentionScores, Attribution, Check, Cost, Ledger, Prediction
from fusion_core.types.record import Record
from fusion_core.types.tokens import TokenAxis


@dataclass(frozen=True)
class Trace:
    """Everything known about one record under one strategy; numpy only.

    target: the class the checks speak of. ledgers: one per class. attributions: of the target, and of other classes
    where they were asked for. scores: what attention gives per token, of the target where it is class-specific.
    free_answer: what a decoder writes by itself, beside the classes it was asked to weigh; None for all others.
    """

    record: Record
    strategy: str
    status: str
    target: str
    prediction: Prediction
    axes: dict[str, TokenAxis]
    attention: tuple[AttentionMap, ...]
    attributions: tuple[Attribution, ...]
    ledgers: dict[str, Ledger]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    cost: Cost
    scores: tuple[AttentionScores, ...] = ()
    free_answer: str | None = None

    @property
    def ledger(self) -> Ledger:
        """The ledger of the target class."""
        return self.ledgers[self.target]
