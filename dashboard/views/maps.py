"""Token axes, attention maps and attributions as the viewer takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dashboard.views import media
from dashboard.views.labels import say
from fusion_core.types import AttentionMap, AttentionScores, Attribution, Check, TokenAxis
from fusion_core.verify.sums import completeness

Json = dict[str, Any]
TokenScores = Mapping[str, np.ndarray]
#: Attention weights of one strategy that a browser is sent, a byte each.
MOST_WEIGHTS = 12_000_000


class TokenAxes:
    """Token axes, each sent once however many strategies share it; `image` says how many pixels its boxes count."""

    def __init__(self, image: Json | None) -> None:
        self.image = image
        self.unique: list[Json] = []

    def index(self, axis: TokenAxis) -> int:
        """Return where the axis stands in `unique`, adding it when it is new."""
        described = self._describe(axis)
        if described not in self.unique:
            self.unique.append(described)
        return self.unique.index(described)

    def _describe(self, axis: TokenAxis) -> Json:
        spans = np.asarray(axis.spans, dtype=float).reshape(len(axis.labels), -1)
        if axis.kind == "patches" and len(spans):
            reach = spans[:, 2:].max(axis=0)
            if self.image is not None:
                reach = np.asarray([self.image["width"], self.image["height"]], dtype=float)
            spans = spans / np.tile(np.maximum(reach, 1e-9), 2)
        return {
            "kind": axis.kind,
            "labels": list(axis.labels),
            "spans": [[round(float(x), 5) for x in span] for span in spans],
            "grid": None if axis.grid is None else list(axis.grid),
            "unit": unit_of(axis),
        }


def unit_of(axis: TokenAxis) -> str:
    """Return what one token is called: a word is a word piece where a model reads some words in several."""
    if axis.kind != "words":
        return "cell" if axis.kind == "patches" else "frame"
    beside = zip(axis.spans, axis.spans[1:], axis.labels, axis.labels[1:], strict=False)
    split = any(a[1] == b[0] and left[-1:].isalnum() and right[:1].isalnum() for a, b, left, right in beside)
    return "word piece" if split or any(label.isspace() for label in axis.labels) else "word"


def attention_sites(maps: Sequence[AttentionMap], labels: Mapping[str, str]) -> dict[str, list[AttentionMap]]:
    """Group maps that may share a softmax: by site and layer, layers counted from 1 within their site."""
    between = [m for m in maps if m.kind == "attention"]
    keys = list(dict.fromkeys((m.site, m.layer) for m in between))
    sites = {site: sorted({layer for s, layer in keys if s == site}) for site, _ in keys}
    return {
        f"{say(site, labels)} {sites[site].index(layer) + 1}": [
            m for m in between if (m.site, m.layer) == (site, layer)
        ]
        for site, layer in keys
    }


def attention_groups(maps: Sequence[AttentionMap], labels: Mapping[str, str]) -> list[Json]:
    """Return the groups of `attention_sites` as the viewer takes them.

    Where all heads would take more than `MOST_WEIGHTS` bytes each group is sent as the mean over its heads, and where
    that still does, only the last groups that fit; `of` and `left` say so.
    """
    sites = attention_sites(maps, labels)
    averaged = by_heads_too_large(maps)
    kept = dict(_last_that_fit(list(sites.items()))) if averaged else sites
    dropped = f" and {len(sites) - len(kept)} of {len(sites)} layers" if len(kept) < len(sites) else ""
    return [
        {
            "label": label,
            "heads": 1 if averaged else max(m.weights.shape[0] for m in group),
            "of": max(m.heads for m in group),
            "left": f"single heads{dropped} are too large to show" if averaged else "",
            "maps": [byte_map(_mean_of_heads(m) if averaged else m) for m in group],
            "summary": next((m.query for m in group if m.summary), None),
        }
        for label, group in kept.items()
    ]


def by_heads_too_large(maps: Sequence[AttentionMap]) -> bool:
    """Return whether attention by heads is more than a browser is sent of one strategy."""
    between = [m for m in maps if m.kind == "attention"]
    return any(m.of for m in between) or sum(m.weights.size for m in between) > MOST_WEIGHTS


def _mean_of_heads(attention: AttentionMap) -> AttentionMap:
    return replace(attention, weights=attention.weights.mean(axis=0, keepdims=True))


def _last_that_fit(sites: list[tuple[str, list[AttentionMap]]]) -> list[tuple[str, list[AttentionMap]]]:
    """Return the last groups whose mean maps are small enough together; the very last in any case."""
    found: list[tuple[str, list[AttentionMap]]] = []
    total = 0
    for label, group in reversed(sites):
        total += sum(m.weights[0].size for m in group)
        if found and total > MOST_WEIGHTS:
            break
        found.append((label, group))
    return found[::-1]


def scores_json(found: Sequence[AttentionScores], labels: Mapping[str, str]) -> list[Json]:
    """Return rollout and relevancy, one entry per class where they are class-specific."""
    return [
        {
            "method": view.method,
            "label": say(view.method, labels),
            "target": view.target,
            "scores": {m: [_short(float(x)) for x in scores] for m, scores in view.scores.items()},
        }
        for view in found
    ]


def byte_map(attention: AttentionMap) -> Json:
    """Return weights as bytes with one scale per row, `weight = byte / 255 * scale`, and each row's exact mass.

    A scale per row keeps the flat rows next to a peaked one; the mass keeps shares free of rounding.
    """
    weights = np.nan_to_num(np.asarray(attention.weights, dtype=np.float32), posinf=0.0, neginf=0.0)
    scale = weights.max(axis=-1, initial=0.0)
    levels = np.round(weights / np.where(scale > 0, scale, 1.0)[..., None] * 255).astype(np.uint8)
    return {
        "query": attention.query,
        "key": attention.key,
        "shape": list(weights.shape),
        "data": media.base64_of(levels),
        "scale": media.base64_of(scale.astype("<f4")),
        "mass": media.base64_of(weights.sum(axis=-1).astype("<f4")),
    }


@dataclass(frozen=True)
class Explained:
    """An attribution as it was asked for: the method asked, and its parts.

    At the input seam another method may stand in for a modality that the one asked for cannot explain there.
    """

    method: str
    parts: tuple[Attribution, ...]

    @property
    def name(self) -> str:
        """The map's name, spelled as the board spells it."""
        first = self.parts[0]
        return map_name("attribution", self.method, first.seam, first.target, first.against or "")

    @property
    def scores(self) -> TokenScores:
        """Token scores of all parts, by modality."""
        return {m: scores for part in self.parts for m, scores in part.scores.items()}


def map_name(*parts: str) -> str:
    """Spell a map's name: what kind of map it is, then what tells it from others of its kind."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def map_kind(name: str) -> str:
    """Return what kind of map a name is of: `attribution`, `raw`, or the method of an attention view."""
    return str(json.loads(name)[0])


def attributions_json(found: Sequence[Explained], labels: Mapping[str, str]) -> list[Json]:
    """Return one map per attribution that was asked for."""
    return [_map_json(explained, labels) for explained in found]


def _map_json(explained: Explained, labels: Mapping[str, str]) -> Json:
    parts = explained.parts
    names = [say(part.method, labels) for part in parts]
    if len(parts) > 1:
        names = [f"{name} ({_explained(part, labels)})" for name, part in zip(names, parts, strict=True)]
    spread = {m: [_short(float(x)) for x in errors] for part in parts for m, errors in (part.spread or {}).items()}
    return {
        "name": explained.name,
        "asked": explained.method,
        "method": ", ".join(names),
        "seam": parts[0].seam,
        "target": parts[0].target,
        "against": parts[0].against or "",
        "baseline": ", ".join(dict.fromkeys(say(part.baseline, labels) for part in parts)),
        "complete": _completeness_words(parts, labels),
        "scores": {m: [_short(float(x)) for x in scores] for m, scores in explained.scores.items()},
        "spread": spread,
        "done": min(part.done for part in parts),
        "passes": sum(part.evaluations for part in parts),
        "checks": [check_json(check, labels) for part in parts if (check := completeness(part))],
    }


def _explained(part: Attribution, labels: Mapping[str, str]) -> str:
    return " and ".join(say(m, labels) for m in part.scores)


def _completeness_words(parts: Sequence[Attribution], labels: Mapping[str, str]) -> str:
    """Return by how much the sum a method promises is off, and of which part of the map it is promised."""
    words = [
        f"completeness error {100 * part.error:.1f} %" + (f" ({_explained(part, labels)})" if len(parts) > 1 else "")
        for part in parts
        if part.error is not None and math.isfinite(part.error)
    ]
    return ", ".join(words)


def check_json(check: Check, labels: Mapping[str, str]) -> Json:
    """Return one measured statement about an explanation."""
    name = "random heads" if check.name.startswith("randomisation_") else say(check.name, labels)
    return {"name": name, "passed": check.passed, "sentence": check.sentence}


def _short(score: float) -> float | None:
    return float(f"{score:.4g}") if math.isfinite(score) else None
