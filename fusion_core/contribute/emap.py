"""EMAP: how much of a model's answers a sum of one-modality functions gives (Hessel & Lee 2020).

`f^(x_i) = sum_m mean_others f(x_i^m, .) - (M - 1) mean f`, over independent draws of the other modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import CallError
from fusion_core.intervals import bootstrap
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens

Mode = Literal["closed", "exact", "monte_carlo"]
Fuse = Callable[[Mapping[str, Tensor]], Tensor]
DONORS = 64
MOST_EXACT = 200_000  # combinations
CHUNK = 64  # combinations at once: larger batches leave the processor's cache and take twice as long


@dataclass(frozen=True)
class Emap:
    """What a model loses when only its additive part is left.

    gap: accuracy minus the additive part's. residual: share of the centred logits' variance that no sum gives,
    `E|f - f^|^2 / E|f - mean f|^2`. Both with 95 % bootstrap intervals over records. They differ: a model may answer
    alike and still not be additive. The noise of Monte Carlo donors is estimated and taken off the residual, which
    would otherwise be too large by about (M - 1) / donors.
    """

    accuracy: float
    additive_accuracy: float
    gap: float
    gap_interval: tuple[float, float]
    residual: float
    residual_interval: tuple[float, float]
    records: int
    mode: Mode
    donors: int


def emap(
    model: FusedModel, tokens: TokenSet, strategy: str, mode: Mode | None = None, donors: int = DONORS, seed: int = 0
) -> Emap:
    """Measure a strategy on labelled records that have every modality.

    mode None takes the closed form where the strategy has one, all combinations where they are few, else Monte Carlo
    with `donors` draws. Raises CallError for records without some modality, or without a closed form when asked for it.
    """
    head, modalities = model.head(strategy), model.modalities
    if donors < 2:
        raise CallError(f"{donors} donors are too few; at least 2 are needed to know their noise")
    if any(bool((tokens.index[m] < 0).any()) for m in modalities):
        raise CallError("EMAP needs records that have every modality; leave the others out")
    count = len(tokens)
    with torch.no_grad():
        projected = head.project({m: tokens.pools[m].each(Tensor.float) for m in modalities})

        def picked(rows: Mapping[str, Tensor]) -> dict[str, Tokens]:
            return {m: projected[m].rows(tokens.index[m][rows[m]]) for m in modalities}

        def fuse(rows: Mapping[str, Tensor]) -> Tensor:
            parts = torch.arange(len(rows[modalities[0]])).split(CHUNK)
            return torch.cat(
                [head.combine(picked({m: rows[m][part] for m in modalities})).logits for part in parts]
            ).double()

        everyone = dict.fromkeys(modalities, torch.arange(count))
        full = fuse(everyone)
        closed = head.additive(picked(everyone)) if mode in (None, "closed") else None
        if mode == "closed" and closed is None:
            raise CallError(f"{strategy} has no closed form of its additive part")
        chosen: Mode = "closed" if closed is not None else mode or _cheapest(count, len(modalities))
        noise = torch.zeros(count, dtype=torch.double)
        if closed is not None:
            additive = closed.double()
        elif chosen == "exact":
            additive = additive_exact(fuse, count, modalities)
        else:
            additive, noise = additive_sampled(fuse, count, modalities, donors, seed)
    numbers = torch.tensor([model.classes.index(str(label)) for label in tokens.labels])
    return _summary(full, additive, noise, numbers, chosen, donors if chosen == "monte_carlo" else 0, seed)


def _cheapest(count: int, modalities: int) -> Mode:
    return "exact" if count**modalities <= MOST_EXACT else "monte_carlo"


def additive_exact(fuse: Fuse, count: int, modalities: Sequence[str]) -> Tensor:
    """Return the additive part `[N, C]` from all combinations of N records' modalities; `fuse(rows)` gives logits."""
    grid = torch.tensor(list(product(range(count), repeat=len(modalities))))
    table = fuse({m: grid[:, k] for k, m in enumerate(modalities)})
    table = table.unflatten(0, (count,) * len(modalities))
    axes = set(range(len(modalities)))
    parts = [table.mean(dim=tuple(sorted(axes - {k}))) if len(axes) > 1 else table for k in sorted(axes)]
    mean = table.flatten(0, len(modalities) - 1).mean(dim=0)
    return torch.stack(parts).sum(dim=0) - (len(modalities) - 1) * mean


def additive_sampled(
    fuse: Fuse, count: int, modalities: Sequence[str], donors: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return the additive part `[N, C]` by Monte Carlo, and the squared error `[N]` its centred logits have from it.

    Every other modality comes from its own donor, drawn anew for every record: errors of records are independent.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn() -> Tensor:
        return torch.randint(count, (count * donors,), generator=generator)

    own = torch.arange(count).repeat_interleave(donors)
    draws = torch.stack(
        [
            fuse({other: own if other == m else drawn() for other in modalities}).unflatten(0, (count, donors))
            for m in modalities
        ]
    )
    parts = draws.mean(dim=2)
    centred = draws - draws.mean(dim=3, keepdim=True)
    noise = centred.var(dim=2).sum(dim=(0, 2)) / donors
    return parts.sum(dim=0) - (len(modalities) - 1) * parts.mean(dim=(0, 1)), noise


def _summary(full: Tensor, additive: Tensor, noise: Tensor, truth: Tensor, mode: Mode, donors: int, seed: int) -> Emap:
    centred = [(f - f.mean(dim=1, keepdim=True)).numpy() for f in (full, additive)]
    right = [(f.argmax(dim=1) == truth).double().numpy() for f in (full, additive)]
    left = ((centred[0] - centred[1]) ** 2).sum(axis=1) - noise.numpy()
    spread = ((centred[0] - centred[0].mean(axis=0)) ** 2).sum(axis=1)

    def residual(rows: np.ndarray) -> float:
        return max(0.0, float(left[rows].mean() / max(float(spread[rows].mean()), 1e-12)))

    everyone = np.arange(len(truth))
    return Emap(
        accuracy=float(right[0].mean()),
        additive_accuracy=float(right[1].mean()),
        gap=float((right[0] - right[1]).mean()),
        gap_interval=bootstrap(lambda rows: float((right[0] - right[1])[rows].mean()), len(truth), seed),
        residual=residual(everyone),
        residual_interval=bootstrap(residual, len(truth), seed),
        records=len(truth),
        mode=mode,
        donors=donors,
    )
