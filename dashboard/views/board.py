"""The board's payload: one record under every strategy, as plain JSON that the viewer swaps and hovers by itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.views import media
from dashboard.views.labels import say
from dashboard.views.ledger import ledger
from fusion_core.types import (
    MODALITIES,
    AttentionMap,
    Attribution,
    Check,
    Prediction,
    Record,
    TokenAxis,
    Trace,
)

CHANCE = "chance"
VIEWS = ("attention", "attribution")
Json = dict[str, Any]


@dataclass(frozen=True)
class StrategyCard:
    """What the strip says about a strategy before it is chosen.

    status: `trained`, `distilled` or `chance`. interval: bounds of the validation accuracy.
    sentence: why there is no attention between tokens, when `has_attention` is False.
    level: what the strategy fuses, such as "fuses encoder tokens".
    """

    name: str
    label: str
    status: str = "trained"
    parameters: int | None = None
    validation_accuracy: float | None = None
    interval: tuple[float, float] | None = None
    has_attention: bool = True
    sentence: str = ""
    level: str = ""


def payload(
    traces: Sequence[Trace],
    *,
    picture: np.ndarray | None,
    clip_samples: np.ndarray | None,
    clip_rate: int | None,
    mel: np.ndarray | None,
    strategies: Sequence[StrategyCard],
    selected: str,
    token: str,
    view: str,
    labels: Mapping[str, str],
) -> Json:
    """Return everything the board shows of one record, ready for `json.dumps`.

    picture: pixels `uint8 [H, W, 3]` as the axes' boxes count them. clip_samples: `float32 [N]` in -1..1.
    mel: log-mel `float32 [80, F]` at 100 frames per second. labels: the words on screen for names in the traces.
    `revision` identifies all of it except the selection (`strategy`, `token`, `view`).
    """
    if not traces:
        raise ValueError("the board needs at least one trace")
    by_name = {trace.strategy: trace for trace in traces}
    axes = _Axes(picture)
    shown = [_strategy(card, by_name.get(card.name), axes, labels) for card in strategies]
    content = {
        "record": _record(traces[0].record, labels),
        "reads": [m for m in MODALITIES if any(m in trace.ledger.contributions for trace in traces)],
        "names": {name: say(name, labels) for name in (*MODALITIES, "cls")},
        "image": None if picture is None else media.image(picture),
        "audio": None if clip_samples is None or not clip_rate else media.audio(clip_samples, clip_rate, mel),
        "strategies": shown,
        "axes": axes.unique,
    }
    revision = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    answered = [card["name"] for card in shown if card["prediction"] is not None]
    return content | {
        "revision": revision,
        "strategy": selected if selected in answered else (answered or [""])[0],
        "token": token,
        "view": view if view in VIEWS else VIEWS[0],
    }


class _Axes:
    """Token axes, each sent once however many strategies share it."""

    def __init__(self, picture: np.ndarray | None) -> None:
        self.picture = picture
        self.unique: list[Json] = []

    def index(self, axis: TokenAxis) -> int:
        described = self._describe(axis)
        if described not in self.unique:
            self.unique.append(described)
        return self.unique.index(described)

    def _describe(self, axis: TokenAxis) -> Json:
        spans = np.asarray(axis.spans, dtype=float).reshape(len(axis.labels), -1)
        if axis.kind == "patches" and len(spans):
            reach = spans[:, 2:].max(axis=0)
            if self.picture is not None:
                reach = np.asarray([self.picture.shape[1], self.picture.shape[0]], dtype=float)
            spans = spans / np.tile(np.maximum(reach, 1e-9), 2)
        return {
            "kind": axis.kind,
            "labels": list(axis.labels),
            "spans": [[round(float(x), 5) for x in span] for span in spans],
            "grid": None if axis.grid is None else list(axis.grid),
        }


def _record(record: Record, labels: Mapping[str, str]) -> Json:
    parts = [f"record {record.id}"]
    if record.timestamp is not None:
        parts.append(f"{record.timestamp:%Y-%m-%d %H:%M}")
    short = {k: str(v) for k, v in record.meta.items() if 0 < len(str(v)) <= 24 and "," not in str(v)}
    parts += [f"{say(k, labels)} {v}" for k, v in short.items()]
    return {
        "id": record.id,
        "caption": " · ".join(parts[:5]),
        "label": record.label,
        "present": list(record.present()),
        "flags": [say(flag, labels) for flag in dict.fromkeys(record.flags)],
    }


def _strategy(card: StrategyCard, trace: Trace | None, axes: _Axes, labels: Mapping[str, str]) -> Json:
    described: Json = {
        "name": card.name,
        "label": card.label,
        "chance": card.status == CHANCE or (trace is not None and trace.status == CHANCE),
        "facts": _facts(card),
        "sentence": card.sentence,
        "level": card.level,
        "prediction": None,
    }
    if trace is None:
        return described
    offered = not described["chance"]
    return described | {
        "prediction": _prediction(trace.prediction),
        "axes": {m: axes.index(axis) for m, axis in trace.axes.items()},
        "groups": _groups(trace.attention, labels) if offered and card.has_attention else [],
        "attributions": [_attribution(a, labels) for a in trace.attributions] if offered else [],
        "ledger": ledger(trace.ledger, trace.prediction.label, labels),
        "checks": [_check(check, labels) for check in trace.checks] if offered else [],
        "notes": _own_notes(trace),
    }


def _own_notes(trace: Trace) -> list[str]:
    """Return what is noted beyond the record's flags, which stand beside the notes already."""
    return [note for note in dict.fromkeys(trace.notes) if note not in trace.record.flags]


def _facts(card: StrategyCard) -> list[str]:
    facts = []
    if card.validation_accuracy is not None:
        band = "" if card.interval is None else f" [{card.interval[0]:.2f}, {card.interval[1]:.2f}]"
        facts.append(f"val {card.validation_accuracy:.2f}{band}")
    if card.parameters is not None:
        facts.append(f"{_count(card.parameters)} parameters")
    return facts


def _count(parameters: int) -> str:
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1_000 else str(parameters)


def _prediction(prediction: Prediction) -> Json:
    if not prediction.finite:
        return {"finite": False, "top": None, "confidence": None, "correct": None, "classes": []}
    order = np.argsort(-prediction.probabilities, kind="stable")[:4]
    return {
        "finite": True,
        "top": prediction.top,
        "confidence": prediction.confidence,
        "correct": prediction.correct,
        "classes": [[prediction.classes[i], float(prediction.probabilities[i])] for i in order],
    }


def _groups(maps: Sequence[AttentionMap], labels: Mapping[str, str]) -> list[Json]:
    """Group maps that may share a softmax: by site and layer, layers counted from 1 within their site."""
    between = [m for m in maps if m.kind == "attention"]
    keys = list(dict.fromkeys((m.site, m.layer) for m in between))
    sites = {site: sorted({layer for s, layer in keys if s == site}) for site, _ in keys}
    return [
        {
            "label": f"{say(site, labels)} {sites[site].index(layer) + 1}",
            "heads": max(m.weights.shape[0] for m in between if (m.site, m.layer) == (site, layer)),
            "maps": [byte_map(m) for m in between if (m.site, m.layer) == (site, layer)],
        }
        for site, layer in keys
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


def _attribution(attribution: Attribution, labels: Mapping[str, str]) -> Json:
    return {
        "method": say(attribution.method, labels),
        "seam": attribution.seam,
        "target": attribution.target,
        "baseline": say(attribution.baseline, labels),
        "error": None if attribution.error is None or not math.isfinite(attribution.error) else attribution.error,
        "scores": {m: [_short(float(x)) for x in scores] for m, scores in attribution.scores.items()},
    }


def _short(score: float) -> float | None:
    return float(f"{score:.4g}") if math.isfinite(score) else None


def _check(check: Check, labels: Mapping[str, str]) -> Json:
    return {"name": say(check.name, labels), "passed": check.passed, "sentence": check.sentence}
