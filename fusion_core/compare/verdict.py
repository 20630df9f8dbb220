"""Does the task need relations between modalities, or are they independent witnesses; and which strategy follows.

Two measurements must agree. The difference: how much oftener a strategy that can relate modalities is right than one
that adds up separate votes. The gap: how much accuracy the relating one loses when only its additive part is left
(EMAP). Both surely above 0: the task needs interaction. Both surely below five answers in a hundred: it does not. Else
it is undecided. Residual share and information (PID) are told beside them, and decide nothing: a head may be far from
additive and still answer alike, and clusters of pooled vectors cannot show what single tokens say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusion_core.compare.result import Measured, Needs, StrategyReport, Verdict
from fusion_core.compare.significance import gain
from fusion_core.contribute.emap import Emap
from fusion_core.contribute.pid import PARTS
from fusion_core.intervals import Z95
from fusion_core.words import AS_LOADED, original_of, say

ADDITIVE = ("late", "product_of_experts")
MATTERS = 0.05  # of all answers
Rights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Evidence:
    """The two strategies set against each other, and what was measured of them."""

    relating: StrategyReport | None
    additive: StrategyReport | None
    figures: dict[str, Measured]


def verdict(reports: Sequence[StrategyReport], rights: Rights, seed: int = 0) -> Verdict | None:
    """Return the verdict; None where no strategy that was fitted does better than chance.

    rights: which of the same records each strategy answers rightly, `bool [N]`. A model as loaded is no evidence: how
    well it answers was never set against chance, and its family may relate nothing whatever the task holds.
    """
    usable = [r for r in reports if r.status not in ("chance", AS_LOADED) and r.strategy in rights]
    if not usable:
        return None
    named = original_of({r.strategy: r.status for r in reports})
    original = next((r for r in reports if r.strategy == named and r.strategy in rights), None)
    found = _of_fitted(usable, rights, seed)
    return found if original is None else beside_original(found, original, rights)


def _of_fitted(usable: Sequence[StrategyReport], rights: Rights, seed: int) -> Verdict:
    found = _evidence(usable, rights, seed)
    needs = _needs(found)
    able = [r for r in usable if needs != "interaction" or r.strategy not in ADDITIVE]
    chosen = cheapest_of_the_best(able, rights)
    return Verdict(needs, chosen.strategy, _message(needs, found, chosen, able, rights), found.figures)


def beside_original(found: Verdict, original: StrategyReport, rights: Rights) -> Verdict:
    """Return a verdict on fitted strategies that also knows the model whose encoders they were fitted on.

    It was made on other records and its cost is counted otherwise, so it is no evidence of what the task needs; but it
    is there already: a fitted strategy takes its place only where it is surely more accurate.
    """
    more = gain(rights[found.strategy], rights[original.strategy])
    name, own = say(original.strategy), _number(float(rights[original.strategy].mean()))
    interval = f"{_number(more.value)}, 95 % {_number(more.low)} to {_number(more.high)}"
    if more.low > 0.0:
        words = f"It is surely more accurate than {name}, the original as loaded ({own}; difference {interval})"
        return replace(found, message=f"{found.message} {words}.")
    words = (
        f"But {say(found.strategy)} is not surely more accurate than {name}, the original as loaded ({own}; difference "
        f"{interval}): keep {name} until it is"
    )
    return replace(found, strategy=original.strategy, message=f"{found.message} {words}.")


def cheapest_of_the_best(reports: Sequence[StrategyReport], rights: Rights) -> StrategyReport:
    """Return the cheapest strategy that is not surely worse than the most accurate one (paired, 95 %).

    Cheap is what needs few operations, then few weights: a clock would choose otherwise every time.
    """
    best = _best(reports, rights)
    near = [r for r in reports if gain(rights[r.strategy], rights[best.strategy]).high >= 0.0]
    return min(near, key=_price)


def _price(report: StrategyReport) -> tuple[float, float]:
    cost = report.cost
    return (cost.operations, cost.parameters) if cost else (float("inf"), float("inf"))


def _best(reports: Sequence[StrategyReport], rights: Rights, rows: np.ndarray | slice = slice(None)) -> StrategyReport:
    return max(reports, key=lambda r: rights[r.strategy][rows].mean())


def _evidence(usable: Sequence[StrategyReport], rights: Rights, seed: int) -> _Evidence:
    relating = [r for r in usable if r.strategy not in ADDITIVE]
    additive = [r for r in usable if r.strategy in ADDITIVE]
    best = _best(relating, rights) if relating else None
    other = _best(additive, rights) if additive else None
    figures: dict[str, Measured] = {}
    if best and other:
        figures["difference"] = chosen_elsewhere(relating, additive, rights, seed)
    if best and best.emap:
        figures["gap"] = _gap(best.emap)
        figures["residual"] = Measured(best.emap.residual, *best.emap.residual_interval)
    if best:
        figures |= _information(best)
    return _Evidence(best, other, figures)


def _information(report: StrategyReport) -> dict[str, Measured]:
    """Return what the two modalities of the most synergy tell; nothing where that is surely less than chance finds.

    With few records and many classes, clusters find more in labels dealt at random: then nothing can be said.
    """
    if not report.information:
        return {}
    most = max(report.information, key=lambda found: found.bits.synergy)
    figures = {p: Measured(getattr(most.bits, p), *most.intervals[p]) for p in PARTS}
    return figures if figures["synergy"].high >= 0.0 else {}


def _gap(found: Emap) -> Measured:
    """Return the gap; a bootstrap of few records that all agree has no width, so it is given that of one that does not.

    See `significance.gain`: half a record more in each of the four ways two answers can turn out.
    """
    least = Z95 / (found.records + 2)
    low, high = found.gap_interval
    return Measured(found.gap, min(low, found.gap - least), max(high, found.gap + least))


def chosen_elsewhere(
    relating: Sequence[StrategyReport], additive: Sequence[StrategyReport], rights: Rights, seed: int
) -> Measured:
    """Return the accuracy of the best relating strategy less that of the best additive one, with its paired interval.

    In each half of the records the two are those that are best in the other half: to be chosen for luck gains nothing.
    """
    count = len(next(iter(rights.values())))
    half = np.random.default_rng(seed).permutation(count) < count // 2
    ours, theirs = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for rows in (half, ~half):
        if rows.any() and (~rows).any():
            ours[rows] = rights[_best(relating, rights, ~rows).strategy][rows]
            theirs[rows] = rights[_best(additive, rights, ~rows).strategy][rows]
    return gain(ours, theirs)


def _needs(found: _Evidence) -> Needs:
    decisive = [found.figures[name] for name in ("difference", "gap") if name in found.figures]
    if "gap" not in found.figures:  # without it nobody knows whether the relating strategy relates anything
        return "undecided"
    if all(figure.low > 0.0 for figure in decisive):
        return "interaction"
    return "independent" if all(figure.high < MATTERS for figure in decisive) else "undecided"


def _message(
    needs: Needs, found: _Evidence, chosen: StrategyReport, able: Sequence[StrategyReport], rights: Rights
) -> str:
    lead = {
        "interaction": "This task needs relations between modalities",
        "independent": "The modalities are independent witnesses here: nothing is gained by relating them",
        "undecided": "These records do not decide whether the task needs relations between modalities",
    }[needs]
    return ". ".join([lead, *_because(found), _follows(needs, chosen, able, rights)]) + "."


def _because(found: _Evidence) -> list[str]:
    parts = []
    if "difference" in found.figures and found.relating and found.additive:
        names = f"{say(found.relating.strategy)} and {say(found.additive.strategy)}"
        parts.append(
            f"Accuracy of the best strategy that relates them less that of the best that adds up votes ({names}; each "
            f"chosen on the other half of the records): {_said(found, 'difference')}"
        )
    if "gap" in found.figures and found.relating:
        name = say(found.relating.strategy)
        parts.append(
            f"Accuracy that {name} loses when only a sum over modalities is left: {_said(found, 'gap')}; share of its "
            f"logits that no sum gives: {_said(found, 'residual')}"
        )
    return parts


def _said(found: _Evidence, name: str) -> str:
    figure = found.figures[name]
    return f"{_number(figure.value)} (95 % {_number(figure.low)} to {_number(figure.high)})"


def _number(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")


def _follows(needs: Needs, chosen: StrategyReport, able: Sequence[StrategyReport], rights: Rights) -> str:
    best = _best(able, rights)
    own = _number(float(rights[chosen.strategy].mean()))
    least = "Until more records decide it, run" if needs == "undecided" else "Run"
    if best.strategy == chosen.strategy:
        return f"{least} {say(chosen.strategy)}: the most accurate ({own})"
    less = gain(rights[chosen.strategy], rights[best.strategy])
    interval = f"{_number(less.value)}, 95 % {_number(less.low)} to {_number(less.high)}"
    return (
        f"{least} {say(chosen.strategy)} ({own}): the fewest operations of those not surely worse than the most "
        f"accurate, {say(best.strategy)} (difference {interval})"
    )
