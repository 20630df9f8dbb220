"""Every map there is of a record, by the name the board spells too, and what was measured about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard.views.labels import say
from dashboard.views.maps import Explained, TokenScores, attention_sites, check_json, map_name
from fusion_core.types import AttentionMap, AttentionScores, Check, Curve, Faithfulness, Trace
from fusion_core.words import BADGES, signed

Json = dict[str, Any]


def maps_of(
    trace: Trace, explained: Sequence[Explained], views: Sequence[AttentionScores], labels: Mapping[str, str]
) -> dict[str, TokenScores]:
    """Return every map there is of a record under one strategy, token scores `[T_m]` per modality, by name."""
    found = raw_maps(trace.attention, tuple(trace.axes), labels)
    for view in (*trace.scores, *views):
        found[map_name(view.method, view.target or "", "")] = view.scores
    own = [Explained(a.method, (a,)) for a in trace.attributions]
    return found | {one.name: one.scores for one in (*own, *explained)}


def raw_maps(
    attention: Sequence[AttentionMap], modalities: Sequence[str], labels: Mapping[str, str]
) -> dict[str, TokenScores]:
    """Return the maps of raw attention by name, per layer and head: token scores `[T_m]` per modality.

    The row of the token that the answer is read from where it is one, else the mean over all query tokens.
    """
    found: dict[str, TokenScores] = {}
    for label, maps in attention_sites(attention, labels).items():
        rows = [m for m in maps if m.summary] or [m for m in maps if m.key in modalities]
        heads = max(m.weights.shape[0] for m in maps)
        for head in (None, *range(heads)):
            scores: dict[str, np.ndarray] = {}
            for m in rows:
                if m.key in modalities:
                    own = m.weights.mean(axis=0) if head is None else m.weights[head]
                    scores[m.key] = scores.get(m.key, np.zeros(own.shape[1])) + own.sum(axis=0)
            found[map_name("raw", label, "" if head is None else str(head + 1))] = scores
    return found


def judged_json(found: Sequence[Faithfulness], checks: Sequence[Check], labels: Mapping[str, str]) -> Json:
    """Return what was measured about one map: its badge, its curves from all modalities and from each, and checks."""
    return {
        "badge": found[0].badge,
        "scopes": [_scope(f, labels) for f in found],
        "checks": [check_json(c, labels) for c in checks],
    }


def _scope(found: Faithfulness, labels: Mapping[str, str]) -> Json:
    sensitivity = "not defined" if found.sensitivity is None else f"{found.sensitivity:.2f}".replace("-", "−")
    return {
        "scope": found.scope,
        "name": "all modalities" if found.scope == "all" else say(found.scope, labels),
        "badge": found.badge,
        "word": BADGES[found.badge],
        "sentence": found.sentence,
        "orders": found.orders,
        "policy": say(found.policy, labels),
        "curves": [_curve("deletion", found.deletion), _curve("insertion", found.insertion)],
        "numbers": [
            ["comprehensiveness", f"{signed(found.comprehensiveness, 2)} logits"],
            ["sufficiency", f"{signed(found.sufficiency, 2)} logits"],
            ["sensitivity-n", sensitivity],
        ],
    }


def _curve(name: str, curve: Curve) -> Json:
    return {
        "name": name,
        "moved": _short(curve.moved),
        "values": _short(curve.values),
        "low": _short(curve.low),
        "high": _short(curve.high),
        "area": round(curve.area, 3),
        "band": [round(curve.area_low, 3), round(curve.area_high, 3)],
    }


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{x:.4g}") for x in values]
