"""The smallest changes that flip an answer, as a table in words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboard.views.labels import begin, say
from fusion_core.types import SmallestChange

COLUMNS = ("change", "flips at", "becomes", "strategies that hold longer")


def amount_words(change: SmallestChange) -> str:
    """Return an amount with its unit; where nothing flips, how far it was tried."""
    amount = change.amount if change.amount is not None else (change.tried[-1] if change.tried else None)
    if amount is None:
        return "nothing to change"
    share = change.unit.startswith("of ")
    unit = change.unit.removesuffix("s") if amount == 1 and not share else change.unit
    words = f"{100 * amount:.0f} % {unit}" if share else f"{amount:g} {unit}".replace("-", "−")
    return words if change.amount is not None else f"holds to {words}"


def _place(change: SmallestChange) -> int:
    return len(change.tried) if change.amount is None else change.tried.index(change.amount)


def changes_table(changes: Sequence[SmallestChange], strategy: str) -> pd.DataFrame:
    """Return a row per kind of change for one strategy, with those of the others that hold longer, where it has any."""
    rows = []
    for own in (c for c in changes if c.strategy == strategy):
        others = [c for c in changes if c.kind == own.kind and c.strategy != strategy]
        longer = [say(c.strategy) for c in others if _place(c) > _place(own)]
        told = f"{len(longer)} of {len(others)}" + (f": {', '.join(longer)}" if longer else "")
        rows.append((say(own.kind), amount_words(own), own.after or "", told))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table if any(c.strategy != strategy for c in changes) else table.drop(columns=COLUMNS[-1])


def changes_sentence(changes: Sequence[SmallestChange], strategy: str) -> str:
    """Return in one sentence how firmly a strategy stands by its answer."""
    own = [c for c in changes if c.strategy == strategy]
    flipped = sorted((c for c in own if c.amount is not None), key=lambda c: _place(c) / len(c.tried))
    if not own:
        return f"{say(strategy)} is at chance: it has no answer that could flip."
    answer = own[0].before
    if not flipped:
        return f"Nothing that was tried moves {say(strategy)} from “{answer}”."
    first = flipped[0]
    return (
        f"{begin(say(strategy))} leaves “{answer}” soonest by {say(first.kind)}: at {amount_words(first)} it "
        f"answers “{first.after}”. {len(flipped)} of {len(own)} kinds of change flip it."
    )
