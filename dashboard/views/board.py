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
from fusion_core.types import (
    MODALITIES,
    AttentionMap,
    Attribution,
    Check,
    Ledger,
    Prediction,
    Reading,
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
        "names": {name: _say(name, labels) for name in (*MODALITIES, "cls")},
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
    parts += [f"{_say(k, labels)} {v}" for k, v in short.items()]
    return {
        "id": record.id,
        "caption": " · ".join(parts[:5]),
        "label": record.label,
        "present": list(record.present()),
        "flags": [_say(flag, labels) for flag in record.flags],
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
        "notes": list(trace.notes),
    }


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
            "label": f"{_say(site, labels)} {sites[site].index(layer) + 1}",
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
        "method": _say(attribution.method, labels),
        "seam": attribution.seam,
        "target": attribution.target,
        "baseline": _say(attribution.baseline, labels),
        "error": None if attribution.error is None or not math.isfinite(attribution.error) else attribution.error,
        "scores": {m: [_short(float(x)) for x in scores] for m, scores in attribution.scores.items()},
    }


def _short(score: float) -> float | None:
    return float(f"{score:.4g}") if math.isfinite(score) else None


def _check(check: Check, labels: Mapping[str, str]) -> Json:
    return {"name": _say(check.name, labels), "passed": check.passed, "sentence": check.sentence}


def ledger(account: Ledger, label: str | None, labels: Mapping[str, str]) -> Json | None:
    """Return the ledger as printed: rows, a sum that adds up in its printed digits, and the alone/without table.

    None when a number in it is not finite.
    """
    numbers = [account.full, account.base, account.three_way or 0.0, *account.contributions.values()]
    if not np.isfinite([*numbers, *account.interactions.values()]).all():
        return None
    present = [m for m, error in account.standard_errors.items() if m in account.alone or error is not None]
    digits, total, full, base = printed_sum([account.contributions[m] for m in present], account.full, account.base)
    rows = [_row(_say(m, labels), "modality", m, account, digits, m in present) for m in account.contributions]
    rows += [
        _interaction(" × ".join(_say(m, labels) for m in pair.split("+")), pair, value, digits)
        for pair, value in account.interactions.items()
    ]
    if account.three_way is not None:
        rows.append(_interaction("all three", "three_way", account.three_way, digits))
    return {
        "target": account.target,
        "unit": account.unit,
        "rows": rows,
        "sum": {
            "parts": [signed(account.contributions[m], digits) for m in present],
            "total": plain(total, digits),
            "full": plain(full, digits),
            "base": plain(base, digits),
        },
        "caption": _ledger_caption(account, len(present)),
        "readings": [
            {
                "name": _say(m, labels),
                "alone": _reading(account.alone.get(m), label),
                "without": _reading(account.without.get(m), label),
            }
            for m in present
        ],
    }


def printed_sum(parts: Sequence[float], full: float, base: float) -> tuple[int, float, float, float]:
    """Return the fewest decimals (2 to 4) whose roundings add up, and the total, full and base to print.

    Parts, total and full are rounded to the nearest; base closes the sum, so it may be rounded the other way. Where
    4 decimals do not close either, the total takes up the last digit: it is below the ledger's tolerance.
    """
    for digits in (2, 3, 4):
        unit = 10.0**-digits
        total = round(sum(round(x, digits) for x in parts), digits)
        rest = round(round(full, digits) - total, digits)
        if total == round(sum(parts), digits) and abs(rest - base) < unit:
            break
    return digits, total, round(full, digits), rest


def _row(name: str, kind: str, modality: str, account: Ledger, digits: int, present: bool) -> Json:
    value, error = account.contributions[modality], account.standard_errors.get(modality)
    if error is not None and not math.isfinite(error):
        error = None
    return {
        "id": modality,
        "name": name,
        "kind": kind,
        "present": present,
        "value": value,
        "error": None if error is None else 2 * error,
        "text": signed(value, digits),
        "spread": "" if error is None else f"± {2 * error:.{min(digits, 2)}f}",
        "clear": None if error is None else abs(value) > 2 * error,
    }


def _interaction(name: str, key: str, value: float, digits: int) -> Json:
    return {
        "id": key,
        "name": name,
        "kind": "interaction",
        "present": True,
        "value": value,
        "error": None,
        "text": signed(value, min(digits, 2)),
        "spread": "",
        "clear": None,
    }


def _reading(reading: Reading | None, label: str | None) -> Json | None:
    if reading is None or not math.isfinite(reading.probability):
        return None
    return {
        "top": reading.top,
        "probability": reading.probability,
        "correct": None if label is None else reading.top == label,
    }


def _ledger_caption(account: Ledger, players: int) -> str:
    removal = f"{account.donors} {account.policy} donors" if account.donors else f"removal policy: {account.policy}"
    spread = ", ± 2 standard errors over donors" if account.donors else ""
    coalitions = f"{2**players} coalition{'s' if players else ''}"
    return f"Exact Shapley over {coalitions}, {removal}{spread}; interactions are already inside the contributions."


def signed(value: float, digits: int) -> str:
    """Print a number with its sign; what rounds to nothing has none."""
    rounded = round(value, digits)
    return ("+" if rounded > 0 else "") + plain(rounded, digits)


def plain(value: float, digits: int) -> str:
    """Print a number with a true minus sign."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:.{digits}f}".replace("-", "−")


def _say(name: str, labels: Mapping[str, str]) -> str:
    return labels.get(name, name.replace("_", " "))
