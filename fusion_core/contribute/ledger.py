"""The ledger: how much each modality moved the answer, exactly, against named donors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusion_core.contribute.shapley import Coalition, coalitions, interaction_values, moebius, shapley_values
from fusion_core.errors import CallError
from fusion_core.model import FusedModel, pool_rows
from fusion_core.types import MODALITIES, Ledger, Level, Reading, Tokens

LEVELS: tuple[Level, ...] = ("tokens", "raw")
POLICIES = ("marginal", "missing", "mean", "zero")


@dataclass(frozen=True)
class Coalitions:
    """What the model says from every subset of the modalities present.

    values: centred logits (logit minus mean logit) `[n, C]` per subset, one row per donor draw; `[1, C]` for the full
    set. probabilities: mean over donors, `[C]` per subset.
    """

    classes: tuple[str, ...]
    policy: str
    modalities: tuple[str, ...]
    players: tuple[str, ...]
    values: dict[Coalition, np.ndarray]
    probabilities: dict[Coalition, np.ndarray]

    @property
    def donors(self) -> int:
        """Number of donor draws behind every subset but the full one."""
        return self.values[frozenset()].shape[0] if self.policy == "marginal" and self.players else 0

    @property
    def evaluations(self) -> int:
        """Rows that went through the head."""
        return sum(len(v) for v in self.values.values())

    def ledger(self, target: str) -> Ledger:
        """Return the ledger of one class."""
        column = self.classes.index(target)
        per_donor = {s: v[:, column] for s, v in self.values.items()}
        game = {s: v.mean(keepdims=True) for s, v in per_donor.items()}
        phi, draws = shapley_values(game, self.players), shapley_values(per_donor, self.players)
        pairs = interaction_values(game, self.players)
        everyone = frozenset(self.players)
        return Ledger(
            target=target,
            policy=self.policy,
            donors=self.donors,
            base=float(game[frozenset()][0]),
            full=float(game[everyone][0]),
            contributions={m: float(phi[m][0]) if m in phi else 0.0 for m in self.modalities},
            standard_errors={m: _standard_error(draws.get(m)) for m in self.modalities},
            interactions={f"{i}+{j}": float(v[0]) for (i, j), v in pairs.items()},
            three_way=float(moebius(game, self.players)[0]) if len(self.players) == 3 else None,
            alone={m: self._reading(frozenset({m}), column) for m in self.players},
            without={m: self._reading(everyone - {m}, column) for m in self.players},
        )

    def _reading(self, subset: Coalition, column: int) -> Reading:
        probabilities = self.probabilities[subset]
        top = int(np.argmax(probabilities))
        return Reading(self.classes[top], float(probabilities[top]), float(self.values[subset][:, column].mean()))


def measure(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, policy: str = "marginal", seed: int = 0
) -> Coalitions:
    """Evaluate every subset of the present modalities of one record (`tokens[m] [1, T_m, D_m]`).

    `marginal` (default) puts independent background donors in place of a removed modality; `missing` takes it out,
    `mean` and `zero` replace its tokens. All subsets go through the head as one batch.
    Raises CallError for an unknown policy.
    """
    if policy not in POLICIES:
        raise CallError(f"unknown removal policy {policy!r}; allowed: {', '.join(POLICIES)}")
    players = tuple(m for m in MODALITIES if m in tokens and bool(tokens[m].mask.any()))
    pool, replacements = _replacements(model, tokens, policy, seed)
    draws = len(next(iter(replacements.values())))
    subsets = coalitions(players)
    everyone = frozenset(players)
    rows: dict[str, list[Tensor]] = {m: [] for m in tokens}
    for subset in subsets:
        count = 1 if subset == everyone else draws
        for m in tokens:
            own = torch.zeros(count, dtype=torch.long)
            rows[m].append(own if m in subset else replacements[m][:count] if m in players else own - 1)
    with torch.no_grad():
        logits = model.fuse_rows(pool, {m: torch.cat(parts) for m, parts in rows.items()}, strategy)
    centred = (logits - logits.mean(dim=1, keepdim=True)).double().numpy()
    probabilities = logits.double().softmax(dim=1).numpy()
    cuts = np.cumsum([1 if s == everyone else draws for s in subsets])[:-1]
    return Coalitions(
        classes=model.classes,
        policy=policy,
        modalities=model.modalities,
        players=players,
        values=dict(zip(subsets, np.split(centred, cuts), strict=True)),
        probabilities={s: p.mean(0) for s, p in zip(subsets, np.split(probabilities, cuts), strict=True)},
    )


def _replacements(
    model: FusedModel, tokens: Mapping[str, Tokens], policy: str, seed: int
) -> tuple[dict[str, Tokens], dict[str, Tensor]]:
    """Return a pool whose row 0 is the record, and per modality the pool rows that stand in when it is removed."""
    own = {m: t.each(Tensor.float) for m, t in tokens.items()}
    if policy == "missing":
        return own, {m: torch.tensor([-1]) for m in tokens}
    if policy == "marginal":
        generator = torch.Generator().manual_seed(seed)
        size = model.background.size
        return pool_rows([own, model.background.tokens]), {
            m: 1 + torch.randperm(size, generator=generator) for m in model.modalities
        }
    filled = {}
    for m, t in own.items():
        filled[m] = t.each(torch.zeros_like)
        for level in LEVELS if policy == "mean" else ():
            if (features := t.at(level)) is not None:
                filled[m] = filled[m].put(level, model.background.mean_token(m, level).expand_as(features))
    return pool_rows([own, filled]), {m: torch.tensor([1]) for m in tokens}


def _standard_error(draws: np.ndarray | None) -> float | None:
    """Return the standard error of a mean over donor draws `[n]`; None without at least two."""
    if draws is None or len(draws) < 2:
        return None
    return float(draws.std(ddof=1) / np.sqrt(len(draws)))
