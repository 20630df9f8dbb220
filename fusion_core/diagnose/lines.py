"""Diagnoses and findings as JSON lines: the face of `diagnose` on the command line."""

from __future__ import annotations

import math
from typing import Any

from fusion_core.types import Cause, Diagnosis, Failure, Finding, Repair


def record_line(found: Diagnosis) -> dict[str, Any]:
    """Return the line of one record: its cause, all causes ranked, the repairs tried, and the clues in words."""
    return {
        "kind": "record",
        "id": found.record_id,
        "cause": _cause(found.cause),
        "ranked": [_cause(cause) for cause in found.ranked],
        "repairs": [_repair(repair) for repair in found.repairs],
        "clues": [
            {"rule": clue.rule, "strength": round(clue.strength, 3), "sentence": clue.sentence, "advice": clue.advice}
            for clue in found.clues
            if clue.strength >= 1.0
        ],
    }


def error_line(found: Failure) -> dict[str, Any]:
    """Return the line of a record that could not be read."""
    return {"kind": "error", "id": found.id, "code": found.code, "message": found.message}


def finding_line(found: Finding) -> dict[str, Any]:
    """Return the line of one finding over many records."""
    return {
        "kind": "finding",
        "rule": found.rule,
        "modality": found.modality,
        "fault": found.fault,
        "severity": round(found.severity, 4),
        "since": found.since,
        "until": found.until,
        "slice": dict(found.slice),
        "lift": None if found.lift is None or not math.isfinite(found.lift) else round(found.lift, 3),
        "record_ids": list(found.record_ids),
        "message": found.message,
        "evidence": {k: _number(v) if isinstance(v, float) else v for k, v in found.evidence.items()},
        "advice": found.advice,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {"modality": cause.modality, "fault": cause.fault, "score": cause.score}


def _repair(repair: Repair) -> dict[str, Any]:
    return {
        "modality": repair.modality,
        "action": repair.action,
        "prediction": repair.prediction,
        "fix_rate": _number(repair.fix_rate),
        "control": _number(repair.control),
        "fixes": repair.fixes,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
