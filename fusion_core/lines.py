"""Results as JSON lines: the stable face of the command line (see the README for every field)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fusion_core.answers import Answer
from fusion_core.types import (
    AttentionMap,
    AttentionScores,
    Attribution,
    Curve,
    Failure,
    Faithfulness,
    Influence,
    Ledger,
    Prediction,
    Reading,
    SmallestChange,
    TokenAxis,
    Trace,
)

Line = dict[str, Any]


def predict_line(answer: Answer | Failure) -> Line:
    """Return the line of one answer or error; on error all but id, strategy, status, code and message is null."""
    if isinstance(answer, Failure):
        nothing = dict.fromkeys(("prediction", "probabilities", "label", "correct", "present", "flags"))
        return {
            "id": answer.id,
            "strategy": answer.strategy,
            "status": "error",
            "code": answer.code,
            "message": answer.message,
            **nothing,
        }
    return _prediction_line(answer.record.id, answer.strategy, answer.prediction, answer.present, answer.flags)


def _prediction_line(
    record_id: str, strategy: str, prediction: Prediction, present: tuple[str, ...], flags: tuple[str, ...]
) -> Line:
    return {
        "id": record_id,
        "strategy": strategy,
        "status": "ok",
        "code": None,
        "message": None,
        "prediction": prediction.top,
        "probabilities": {c: float(p) for c, p in zip(prediction.classes, prediction.probabilities, strict=True)},
        "label": prediction.label,
        "correct": prediction.correct,
        "present": list(present),
        "flags": list(flags),
    }


def trace_line(trace: Trace, full: bool) -> Line:
    """Return the line of one trace; `full` adds the attention weights. Gates are told among the checks."""
    return {
        "id": trace.record.id,
        "strategy": trace.strategy,
        "prediction": _prediction_line(
            trace.record.id, trace.strategy, trace.prediction, tuple(trace.axes), trace.notes
        ),
        "ledger": _ledger(trace.ledger),
        "attention": [_attention(a, full) for a in trace.attention if a.kind == "attention"],
        "attention_scores": [_attention_scores(s) for s in trace.scores],
        "attributions": [_attribution(a, trace.axes) for a in trace.attributions],
        "checks": {
            c.name: {"value": number(c.value), "passed": c.passed, "sentence": c.sentence} for c in trace.checks
        },
        "cost": {"forwards": trace.cost.forwards, "seconds": round(trace.cost.seconds, 4)},
        **({} if trace.free_answer is None else {"free_answer": trace.free_answer}),
    }


def change_line(record_id: str, change: SmallestChange) -> Line:
    """Return the line of one smallest change; `amount` and `after` are null where nothing that was tried flips it."""
    return {
        "kind": "change",
        "id": record_id,
        "strategy": change.strategy,
        "change": change.kind,
        "modality": change.modality,
        "amount": change.amount,
        "unit": change.unit,
        "tried": list(change.tried),
        "before": change.before,
        "after": change.after,
    }


def influence_line(record_id: str, found: Influence) -> Line:
    """Return the line of the training records that pushed one answer."""
    return {
        "kind": "influence",
        "id": record_id,
        "strategy": found.strategy,
        "target": found.target,
        "compared": found.count,
        "towards": [{"id": r.id, "label": r.label, "score": number(r.score)} for r in found.towards],
        "against": [{"id": r.id, "label": r.label, "score": number(r.score)} for r in found.against],
    }


def _ledger(ledger: Ledger) -> Line:
    return {
        "class": ledger.target,
        "unit": ledger.unit,
        "policy": ledger.policy,
        "donors": ledger.donors,
        "base": number(ledger.base),
        "full": number(ledger.full),
        "contributions": {m: number(v) for m, v in ledger.contributions.items()},
        "standard_errors": {m: None if v is None else number(v) for m, v in ledger.standard_errors.items()},
        "interactions": {pair: number(v) for pair, v in ledger.interactions.items()},
        "three_way": None if ledger.three_way is None else number(ledger.three_way),
        "alone": {m: _reading(r) for m, r in ledger.alone.items()},
        "without": {m: _reading(r) for m, r in ledger.without.items()},
    }


def _reading(reading: Reading) -> Line:
    return {"class": reading.top, "probability": number(reading.probability), "value": number(reading.value)}


def _attention(found: AttentionMap, full: bool) -> Line:
    line: Line = {
        "site": found.site,
        "layer": found.layer,
        "query": found.query,
        "key": found.key,
        "heads": found.heads,
        "shape": list(found.weights.shape),
    }
    if full:
        line["weights"] = np.round(found.weights.astype(float), 6).tolist()
    return line


def _attention_scores(found: AttentionScores) -> Line:
    return {
        "method": found.method,
        "target": found.target,
        "scores": {m: [number(float(v)) for v in scores] for m, scores in found.scores.items()},
        "faithfulness": [_faithfulness(f) for f in found.faithfulness],
    }


def _faithfulness(found: Faithfulness) -> Line:
    return {
        "scope": found.scope,
        "badge": found.badge,
        "policy": found.policy,
        "orders": found.orders,
        "deletion": _curve(found.deletion),
        "insertion": _curve(found.insertion),
        "comprehensiveness": number(found.comprehensiveness),
        "sufficiency": number(found.sufficiency),
        "sensitivity": None if found.sensitivity is None else number(found.sensitivity),
        "sentence": found.sentence,
    }


def _curve(found: Curve) -> Line:
    return {"area": number(found.area), "random": [number(found.area_low), number(found.area_high)]}


def _attribution(found: Attribution, axes: dict[str, TokenAxis]) -> Line:
    return {
        "method": found.method,
        "seam": found.seam,
        "target": found.target,
        "against": found.against,
        "baseline": found.baseline,
        "delta": None if found.delta is None else number(found.delta),
        "scores": {m: [number(float(v)) for v in scores] for m, scores in found.scores.items()},
        "spread": None
        if found.spread is None
        else {m: [number(float(v)) for v in errors] for m, errors in found.spread.items()},
        "labels": {m: list(axes[m].labels) for m in found.scores},
        "faithfulness": [_faithfulness(f) for f in found.faithfulness],
    }


def number(value: float) -> float | None:
    """Return a number JSON can hold; NaN and infinity become null."""
    return value if math.isfinite(value) else None
