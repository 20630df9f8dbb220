"""The ledger as it is printed: bars, a sum whose digits add up, and what each modality says alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fusion_core.types import Ledger, Reading
from fusion_core.verify.sums import efficiency
from fusion_core.words import ledger_caption, plain, present_in, printed_sum, say, signed

__all__ = ["ledger", "plain", "printed_sum", "readings", "signed"]

Json = dict[str, Any]


def ledger(account: Ledger, labels: Mapping[str, str]) -> Json | None:
    """Return the ledger as printed: rows, a sum that adds up in its printed digits, and the check of that sum.

    None when a number in it is not finite.
    """
    numbers = [account.full, account.base, account.three_way or 0.0, *account.contributions.values()]
    if not np.isfinite([*numbers, *account.interactions.values()]).all():
        return None
    present = present_in(account)
    digits, total, full, base = printed_sum([account.contributions[m] for m in present], account.full, account.base)
    rows = [_row(say(m, labels), "modality", m, account, digits, m in present) for m in account.contributions]
    rows += [
        _interaction(" × ".join(say(m, labels) for m in pair.split("+")), pair, value, digits)
        for pair, value in account.interactions.items()
    ]
    if account.three_way is not None:
        rows.append(_interaction("all three", "three_way", account.three_way, digits))
    checked = efficiency(account)
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
        "caption": ledger_caption(account, len(present)),
        "check": {"name": checked.name, "passed": checked.passed, "sentence": checked.sentence},
    }


def readings(account: Ledger, label: str | None, labels: Mapping[str, str]) -> list[Json]:
    """Return what the model answers from each modality alone and without it; the same for every class's ledger."""
    return [
        {
            "name": say(m, labels),
            "alone": _reading(account.alone.get(m), label),
            "without": _reading(account.without.get(m), label),
        }
        for m in present_in(account)
    ]


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
