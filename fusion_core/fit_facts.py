"""What a bundle was fitted on and how that was split: the optional key `data` of `model.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEYS = {"fingerprint", "split", "classes", "presence", "seed", "teacher", "strategies"}
MAX_TEXT = 1_000


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class HeadFigures:
    """A head on the validation records: mean F1 over classes, and negative log-likelihood in nats."""

    macro_f1: Figure
    nll: Figure


@dataclass(frozen=True)
class FitFacts:
    """fingerprint: SHA-256 over sorted content hashes and labels. split: how validation records were held out.

    classes: records that train and that validate, by class. presence: share of both that have a modality.
    teacher: whose answers were learned instead of labels, None for labels.
    """

    fingerprint: str
    split: str
    classes: Mapping[str, tuple[int, int]]
    presence: Mapping[str, tuple[float, float]]
    seed: int
    teacher: str | None
    strategies: Mapping[str, HeadFigures]


def facts_entry(facts: FitFacts) -> dict[str, Any]:
    """Return facts as they are written to `model.json`."""
    return {
        "fingerprint": facts.fingerprint,
        "split": facts.split,
        "classes": {name: list(counts) for name, counts in facts.classes.items()},
        "presence": {m: [round(share, 6) for share in shares] for m, shares in facts.presence.items()},
        "seed": facts.seed,
        "teacher": facts.teacher,
        "strategies": {
            name: {"macro_f1": _figure_entry(f.macro_f1), "nll": _figure_entry(f.nll)}
            for name, f in facts.strategies.items()
        },
    }


def read_facts(entry: Any, classes: tuple[str, ...], strategies: tuple[str, ...]) -> FitFacts:
    """Read what `facts_entry` wrote; ValueError, TypeError or KeyError for anything else."""
    if not isinstance(entry, dict) or set(entry) != KEYS:
        raise ValueError(f"data must have exactly the keys {', '.join(sorted(KEYS))}")
    fingerprint, teacher = entry["fingerprint"], entry["teacher"]
    if not isinstance(fingerprint, str) or not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise ValueError("the fingerprint is not a SHA-256 of 64 hex digits")
    counts = {name: _pair(value, int) for name, value in entry["classes"].items()}
    shares = {m: _pair(value, float) for m, value in entry["presence"].items()}
    if set(counts) != set(classes) or min(map(min, counts.values())) < 0:
        raise ValueError("data does not count the records of every class")
    if not all(0.0 <= share <= 1.0 for pair in shares.values() for share in pair):
        raise ValueError("a share of records with a modality is not between 0 and 1")
    figures = {
        name: HeadFigures(_figure(value["macro_f1"]), _figure(value["nll"]))
        for name, value in entry["strategies"].items()
    }
    if not set(figures) <= set(strategies):
        raise ValueError("data has figures of a strategy that is not in the bundle")
    return FitFacts(
        fingerprint=fingerprint,
        split=_text(entry["split"]),
        classes=counts,
        presence=shares,
        seed=int(entry["seed"]),
        teacher=None if teacher is None else _text(teacher),
        strategies=figures,
    )


def _figure_entry(figure: Figure) -> list[float]:
    return [round(number, 6) for number in (figure.value, figure.low, figure.high)]


def _figure(entry: Any) -> Figure:
    value, low, high = (float(number) for number in entry)
    if not all(0.0 <= number < float("inf") for number in (value, low, high)):
        raise ValueError(f"{entry!r} is not a figure with its interval")
    return Figure(value, low, high)


def _pair(value: Any, kind: type) -> tuple[Any, Any]:
    first, second = (kind(number) for number in value)
    return first, second


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"{value!r:.40} is not a text of at most {MAX_TEXT:,} characters")
    return value
