"""Build a reference from a model's clean validation records, and set each rule's limit by its false alarms there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from fusion_core.diagnose.calibrate import calibrate
from fusion_core.diagnose.look import look, look_at_tokens
from fusion_core.diagnose.profile import build_profile
from fusion_core.diagnose.reference import STEPS, Reference, Spread
from fusion_core.diagnose.repeats import repeat_shares
from fusion_core.diagnose.signals import Seen, measure
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import Record

FOLDS = 5
QUANTILES = tuple(np.linspace(0.0, 1.0, STEPS))
NORMAL_MAD, NORMAL_Q99 = 1.4826, 2.326
LEAST_SPREAD = 1e-2  # of 1 + |median|: signals that are the same for all clean records
Progress = Callable[[str, int, int], None]


def build_reference(
    model: FusedModel, records: Sequence[Record], progress: Progress | None = None, tokens: TokenSet | None = None
) -> Reference:
    """Build the reference of a model from clean, held-out records; raises RecordError when one cannot be read.

    tokens: the same records' tokens, where they are known already.
    """
    seen = []
    rows = {} if tokens is None else {name: row for row, name in enumerate(tokens.ids)}
    for number, record in enumerate(records):
        if tokens is not None and record.id in rows:
            seen.append(look_at_tokens(model, record, tokens.batch(torch.tensor([rows[record.id]]))))
        else:
            seen.append(look(model, record)[0])
        if progress:
            progress("reference", number + 1, len(records))
    reference = reference_of(seen, model.modalities, model.default_strategy)
    return replace(reference, repeats=repeat_shares(records))


def reference_of(seen: Sequence[Seen], modalities: Sequence[str], strategy: str) -> Reference:
    """Build a reference from records already looked at; every record is measured by a profile made without it."""
    measured = cross_measured(seen)
    names = sorted({name for found in measured for name in found})
    spreads = {name: _spread(np.array([m[name] for m in measured if name in m])) for name in names}
    present = {m: float(np.mean([s.has(m) for s in seen])) for m in modalities}
    bare = Reference(len(seen), strategy, present, spreads, build_profile(seen), {})
    return replace(bare, limits=calibrate(bare, measured))


def cross_measured(seen: Sequence[Seen]) -> list[dict[str, float]]:
    """Measure each record by a profile of the other records: by its own it would look too ordinary.

    Records with the same text share a fold, so that no text is judged by its twin.
    """
    number = {text: k for k, text in enumerate(dict.fromkeys(s.text for s in seen))}
    deal = np.random.default_rng(0).permutation(len(number)) % FOLDS
    places = [int(deal[number[s.text]]) for s in seen]
    profiles = [build_profile([s for s, p in zip(seen, places, strict=True) if p != fold]) for fold in range(FOLDS)]
    return [measure(s, profiles[place]) for s, place in zip(seen, places, strict=True)]


def _spread(values: np.ndarray) -> Spread:
    """Return a spread whose scales cover both the middle (MAD) and the tails (99th percentile) of clean records."""
    quantiles = np.quantile(values, QUANTILES)
    median = quantiles[len(quantiles) // 2]
    middle = NORMAL_MAD * float(np.median(np.abs(values - median)))
    low, high = np.quantile(values, [0.01, 0.99])
    least = LEAST_SPREAD * (1.0 + abs(float(median)))
    below = max(middle, float(median - low) / NORMAL_Q99, least)
    above = max(middle, float(high - median) / NORMAL_Q99, least)
    return Spread(tuple(float(q) for q in quantiles), below, above)
