"""Perceptual score: how much accuracy a modality brings, by giving each record another one's (Gat & Schwing 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import CallError
from fusion_core.fusion import Head
from fusion_core.intervals import bootstrap
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens

PERMUTATIONS = 5
CHUNK = 64


@dataclass(frozen=True)
class PerceptualScore:
    """Accuracy minus the mean accuracy with one modality permuted across records.

    interval: 95 % bootstrap over records. within_class: the same with partners of the same label only, which leaves
    what the class alone explains. slices: the score within each value of a column, each with its interval.
    """

    modality: str
    accuracy: float
    score: float
    interval: tuple[float, float]
    within_class: float
    within_class_interval: tuple[float, float]
    slices: dict[str, float]
    slice_intervals: dict[str, tuple[float, float]]
    permutations: int
    records: int


def perceptual_score(
    model: FusedModel,
    tokens: TokenSet,
    strategy: str,
    modality: str,
    slices: Sequence[str] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> PerceptualScore:
    """Permute one modality across labelled records, at least 5 times; the other modalities stay joint.

    slices: a value per record. Raises CallError for a modality the model does not read, fewer than 5 permutations, or
    another number of slice values than records.
    """
    if modality not in model.modalities:
        raise CallError(f"the model does not read {modality}; it reads {', '.join(model.modalities)}")
    if permutations < PERMUTATIONS:
        raise CallError(f"{permutations} permutations are too few; at least {PERMUTATIONS} are needed")
    truth = torch.tensor([model.classes.index(str(label)) for label in tokens.labels])
    rng = np.random.default_rng(seed)
    head = model.head(strategy)
    with torch.no_grad():
        projected = head.project({m: tokens.pools[m].each(Tensor.float) for m in model.modalities})
    plain = _right(head, projected, tokens.index, truth)
    anyone = np.zeros(len(truth), dtype=int)
    lost = {}
    for name, groups in (("all", anyone), ("class", truth.numpy())):
        permuted = [
            _right(
                head,
                projected,
                {**tokens.index, modality: tokens.index[modality][_shuffled(groups, rng)]},
                truth,
            )
            for _ in range(permutations)
        ]
        lost[name] = plain - np.mean(permuted, axis=0)
    values = np.asarray(slices if slices is not None else [], dtype=str)
    if slices is not None and len(values) != len(truth):
        raise CallError(f"{len(values)} slice values were given for {len(truth)} records")
    within = {str(value): lost["all"][values == value] for value in sorted(set(values))}
    return PerceptualScore(
        modality=modality,
        accuracy=float(plain.mean()),
        score=float(lost["all"].mean()),
        interval=_interval(lost["all"], seed),
        within_class=float(lost["class"].mean()),
        within_class_interval=_interval(lost["class"], seed),
        slices={value: float(part.mean()) for value, part in within.items()},
        slice_intervals={value: _interval(part, seed) for value, part in within.items()},
        permutations=permutations,
        records=len(truth),
    )


def _interval(lost: np.ndarray, seed: int) -> tuple[float, float]:
    return bootstrap(lambda rows: float(lost[rows].mean()), len(lost), seed)


def _shuffled(groups: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Return a partner for every record, drawn without replacement from its own group."""
    partner = np.arange(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        partner[members] = rng.permutation(members)
    return torch.from_numpy(partner)


def _right(head: Head, projected: Mapping[str, Tokens], index: Mapping[str, Tensor], truth: Tensor) -> np.ndarray:
    found = []
    with torch.no_grad():
        for rows in torch.arange(len(truth)).split(CHUNK):
            logits = head.combine({m: projected[m].rows(index[m][rows]) for m in head.modalities}).logits
            found.append(logits.argmax(dim=1) == truth[rows])
    return torch.cat(found).double().numpy()
