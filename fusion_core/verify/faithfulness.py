"""Is a map true? Take tokens out in its order, put them back in its order, and compare with random orders.

Deletion and insertion after Samek 2017 and Petsiuk 2018, comprehensiveness and sufficiency after ERASER (DeYoung 2020),
sensitivity-n after Ancona 2018. The random band is worked out once for a record and serves every map of it.

How sure: a map that knows nothing gives one more random order, and of 21 such orders each is as likely to be the
outermost. A curve of it lies outside the band of 20 in 1 of 21 maps, both of them in at most as many (1 of 42 where
tokens add up, so that one curve tells the other), and at least one in at most 2 of 21. Each scope is a test of its own.

The reverse order needs no curve: taking out the last first passes through the same token sets as putting back the first
first, so at the same budget its area is the insertion's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fusion_core.fusion import Head
from fusion_core.model import FusedModel
from fusion_core.types import Curve, Faithfulness, Tokens
from fusion_core.verify.removal import POLICIES, Removal, Told, removal

ORDERS = 20
STEPS = 10
SUBSETS = 100
SUBSET_SHARE = 0.2
BINS = (0.01, 0.05, 0.1, 0.2, 0.5)
FEWEST = 3  # tokens a modality needs to be judged by itself
ROUNDING = 1e-5  # areas this near to each other, relative to the logits, differ by rounding
Badge = Literal["trusted", "weak", "random"]


@dataclass(frozen=True)
class Scope:
    """The tokens that are moved, `inside bool [P]`, and what random moves of them do.

    counts `[S]`: how many tokens are out at each step. band `[R, S]`: the class's centred logit along random
    deletions. subsets `bool [N, P]`, drops `[N]`: random subsets and what taking them out takes away.
    """

    name: str
    inside: np.ndarray
    counts: np.ndarray
    band: np.ndarray
    subsets: np.ndarray
    drops: np.ndarray


@dataclass(frozen=True)
class RemovalTable:
    """All that judging maps of one record, strategy and class needs; `seed` also breaks ties of equal scores."""

    removal: Removal
    scopes: tuple[Scope, ...]
    seed: int

    def answered_by(self, head: Head | None) -> RemovalTable:
        """Return the same table with a head to ask; with None to be kept where nothing may hold on to a model."""
        return replace(self, removal=replace(self.removal, head=head))


def removal_table(
    model: FusedModel,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: int,
    seed: int = 0,
    policy: str = "mean",
    each: bool = True,
    told: Told | None = None,
) -> RemovalTable:
    """Measure 20 random orders and 100 random subsets of the tokens, of all modalities together and of each.

    tokens: one record, `[1, T_m, D_m]`. target: number of the class. each: False for all together only, which is a
    quarter of the work. told: who hears of the removals of all together. Raises CallError for an unknown policy.
    """
    prepared = removal(model, tokens, strategy, target, policy, seed)
    rng = np.random.default_rng(seed)
    wide = [m for m in prepared.own if each and prepared.scope(m).sum() >= FEWEST]
    present = {m for m, _ in prepared.places}
    names = [None, *(wide if len(present) > 1 else ())]
    return RemovalTable(prepared, tuple(_scope(prepared, name, rng, None if name else told) for name in names), seed)


def judge(table: RemovalTable, scores: Mapping[str, np.ndarray]) -> tuple[Faithfulness, ...]:
    """Judge a map, token scores `[T_m]` per modality, by the order it gives: highest first.

    Equal scores are ordered at random by the table's seed; a map of equal scores only is `random`, whatever its order
    does. Scores that are not finite, and modalities the map says nothing of, come last and count as 0 in sums. First
    all modalities together, then each that the map scores.
    """
    given = np.array([_score(scores, m, index) for m, index in table.removal.places])
    return tuple(
        _judge(table.removal, scope, given, table.seed) for scope in table.scopes if scope.name in ("all", *scores)
    )


def _score(scores: Mapping[str, np.ndarray], modality: str, index: int) -> float:
    value = float(scores[modality][index]) if modality in scores else -np.inf
    return value if np.isfinite(value) else -np.inf


def most_passes(tokens: int) -> int:
    """Return how many passes testing a map of so many tokens takes at most, all modalities together."""
    steps = min(tokens, STEPS) + 1
    return ORDERS * steps + SUBSETS + 2 * (steps + len(BINS))


def _scope(prepared: Removal, name: str | None, rng: np.random.Generator, told: Told | None) -> Scope:
    inside = prepared.scope(name)
    places = inside.nonzero()[0]
    counts = np.unique(np.round(np.linspace(0, len(places), min(len(places), STEPS) + 1)).astype(int))
    orders = rng.permuted(np.tile(places, (max(ORDERS, SUBSETS), 1)), axis=1)
    # What random orders take out first is a random subset: those of the band are answered already.
    size = np.array([max(1, round(SUBSET_SHARE * len(places)))])
    kept, along = _without(len(inside), orders[:SUBSETS], size), _without(len(inside), orders[:ORDERS], counts)
    values = prepared.values(np.concatenate([along, kept]), told)
    band = values[: len(along)].reshape(ORDERS, -1)
    return Scope(name or "all", inside, counts, band, ~kept, band[0, 0] - values[len(along) :])


def _without(count: int, orders: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return subsets `bool [R * S, P]` with the first tokens of orders `[R, n]` taken out, `counts [S]` per step."""
    rank = np.full((len(orders), count), count)
    np.put_along_axis(rank, orders, np.arange(orders.shape[1])[None], axis=1)
    return (rank[:, None] >= counts[:, None]).reshape(-1, count)


def _judge(prepared: Removal, scope: Scope, given: np.ndarray, seed: int) -> Faithfulness:
    places = scope.inside.nonzero()[0]
    ties = np.random.default_rng(seed + 1).permutation(len(places))
    order = places[np.lexsort((ties, -given[places]))][None]
    ordered = bool((given[places] != given[places[0]]).any())
    count, total = len(scope.inside), len(places)
    tops = np.array([max(1, round(share * total)) for share in BINS])
    values = prepared.values(
        np.concatenate(
            [
                _without(count, order, scope.counts),
                _without(count, order[:, ::-1], scope.counts[::-1]),
                _without(count, order, tops),
                _without(count, order[:, ::-1], total - tops),
            ]
        )
    )
    deletion, insertion, without, alone = np.split(values, np.cumsum([len(scope.counts)] * 2 + [len(tops)]))
    moved, full = scope.counts / total, deletion[0]
    curves = _curve(moved, deletion, scope.band), _curve(1 - moved[::-1], insertion, scope.band[:, ::-1])
    rounding = ROUNDING * max(1.0, float(np.abs(scope.band).max()))
    below = ordered and curves[0].area < curves[0].area_low - rounding
    above = ordered and curves[1].area > curves[1].area_high + rounding
    badge: Badge = "trusted" if below and above else "weak" if below or above else "random"
    return Faithfulness(
        scope=scope.name,
        policy=prepared.policy,
        orders=len(scope.band),
        deletion=curves[0],
        insertion=curves[1],
        comprehensiveness=float(np.mean(full - without)),
        sufficiency=float(np.mean(full - alone)),
        sensitivity=_sensitivity(scope, given),
        badge=badge,
        sentence=_sentence(badge, below, ordered, scope.name, prepared.policy),
    )


def _curve(moved: np.ndarray, values: np.ndarray, band: np.ndarray) -> Curve:
    areas = np.trapezoid(band, moved, axis=1)
    low, high = band.min(axis=0), band.max(axis=0)
    area = float(np.trapezoid(values, moved))
    return Curve(moved, values, low, high, area, float(areas.min()), float(areas.max()))


def _sensitivity(scope: Scope, given: np.ndarray) -> float | None:
    """Return the correlation of summed scores of random subsets with what taking them out takes away."""
    summed = scope.subsets @ np.where(np.isfinite(given), given, 0.0)
    if np.ptp(summed) < 1e-12 or np.ptp(scope.drops) < 1e-12:
        return None
    return float(np.corrcoef(summed, scope.drops)[0, 1])


def _sentence(badge: Badge, below: bool, ordered: bool, scope: str, policy: str) -> str:
    whose = "Tokens of all modalities" if scope == "all" else f"Only the {scope} tokens"
    how = f"{whose} were moved, {POLICIES[policy]} when out."
    if not ordered:
        return f"This map scores all tokens alike, so it has no order that could be true. {how}"
    if badge == "trusted":
        return (
            f"Taking out what this map ranks first lowers the answer faster than all {ORDERS} random orders, and "
            f"putting it back first raises it faster than all of them (by chance: at most 1 map in 21). {how}"
        )
    if badge == "weak" and below:
        return (
            f"Taking out what this map ranks first lowers the answer faster than all {ORDERS} random orders, but "
            f"putting it back first raises it no faster than they do (by chance: at most 2 maps in 21). {how}"
        )
    if badge == "weak":
        return (
            f"Putting back what this map ranks first raises the answer faster than all {ORDERS} random orders, but "
            f"taking it out first lowers it no faster than they do (by chance: at most 2 maps in 21). {how}"
        )
    return (
        f"The order of this map does no better than {ORDERS} random orders, neither taking out nor putting back: "
        f"do not read it as evidence. {how}"
    )
