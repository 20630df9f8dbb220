"""What would have changed: which failures of a strategy another would answer rightly, and what it would break."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from fusion_core.compare.result import Measured, StrategyCost
from fusion_core.compare.significance import corrected, gain, mcnemar
from fusion_core.errors import CallError
from fusion_core.words import plain, say, signed

SURE = 0.05


@dataclass(frozen=True)
class Change:
    """Another strategy in place of one, on the records both answered and that have a label.

    fixes: ids of failures in view that it answers rightly; breaks: ids it answers wrongly that were right, of all
    records. failures: how many are in view. difference, p: of all records; p is McNemar's, corrected for all the
    strategies that were looked at (Holm).
    """

    strategy: str
    other: str
    fixes: tuple[str, ...]
    breaks: tuple[str, ...]
    failures: int
    records: int
    difference: Measured
    p: float


def changes(
    table: pd.DataFrame, strategy: str, failures: Collection[str] | None = None, leave_out: Collection[str] = ()
) -> tuple[Change, ...]:
    """Return what every other strategy would have changed, the largest gain first.

    table: an `answer_table`. failures: ids of the failures in view; None for all. leave_out: strategies that are not to
    be looked at, such as those at chance. Raises CallError for a strategy the table lacks; nothing without labels.
    """
    told = table[(table["status"] == "ok") & table["correct"].notna()]
    if strategy not in set(table["strategy"]):
        raise CallError(f"strategy {strategy!r} is not in the answers; they have {', '.join(_names(table))}")
    own = _right(told, strategy)
    others = [_right(told, name) for name in _names(told) if name != strategy and name not in leave_out]
    found = [_change(own, other, failures) for other in others if len(other.index.intersection(own.index))]
    fair = corrected([one.p for one in found])
    done = [Change(**{**vars(one), "p": p}) for one, p in zip(found, fair, strict=True)]
    return tuple(sorted(done, key=lambda one: -one.difference.value))


def _names(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["strategy"].dropna()))


def _right(table: pd.DataFrame, strategy: str) -> pd.Series:
    rows = table[table["strategy"] == strategy]
    return pd.Series(rows["correct"].to_numpy(bool), index=rows["id"].to_numpy(), name=strategy)


def _change(own: pd.Series, other: pd.Series, failures: Collection[str] | None) -> Change:
    both = own.index[own.index.isin(other.index)]
    before, after = own.loc[both].to_numpy(), other.loc[both].to_numpy()
    viewed = ~before if failures is None else ~before & both.isin(list(failures))
    return Change(
        strategy=str(own.name),
        other=str(other.name),
        fixes=tuple(both[after & viewed]),
        breaks=tuple(both[~after & before]),
        failures=int(viewed.sum()),
        records=len(both),
        difference=gain(after, before),
        p=mcnemar(int((after & ~before).sum()), int((~after & before).sum())),
    )


def recommendation(found: Sequence[Change], costs: Mapping[str, StrategyCost] | None = None) -> str:
    """Return one sentence: the strategy that does significantly better, with its numbers, or that none does."""
    if not found:
        return "There is no other strategy, or no label, to compare with."
    surely = [one for one in found if one.p < SURE and one.difference.value > 0]
    if surely:
        return f"{_counts(surely[0])}: {_test(surely[0])}{_cost(surely[0], costs)}."
    best = found[0]
    return (
        f"No other strategy does significantly better than {say(best.strategy)} on these {best.records:,} records. The "
        f"nearest: {_counts(best)} ({_test(best)})."
    )


def _counts(one: Change) -> str:
    failures = "failure" if one.failures == 1 else "failures"
    return f"{say(one.other)} fixes {len(one.fixes)} of {one.failures} {failures} and breaks {len(one.breaks)}"


def _test(one: Change) -> str:
    low, high = plain(one.difference.low, 3), plain(one.difference.high, 3)
    p = "p < 0.001" if one.p < 0.001 else f"p {one.p:.2g}"
    return f"accuracy {signed(one.difference.value, 3)}, 95 % {low} to {high}, {p}, n {one.records:,}"


def _cost(one: Change, costs: Mapping[str, StrategyCost] | None) -> str:
    if not costs or one.other not in costs or one.strategy not in costs:
        return ""
    more = costs[one.other].milliseconds - costs[one.strategy].milliseconds
    if abs(more) < 0.05:
        return "; it costs as much"
    return f"; it costs {abs(more):.1f} ms {'more' if more > 0 else 'less'} per record"
