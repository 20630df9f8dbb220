"""Taking tokens out of one record and putting them back: what the explained class's logit does, many at once.

Projection works token by token, so the record and what stands in for it are projected once; every combination is then
only combined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import CallError, RecordError
from fusion_core.fusion import Head
from fusion_core.model import FusedModel
from fusion_core.types import Level, Tokens

#: What can stand in for a removed token, and how a sentence says it.
POLICIES = {
    "mean": "replaced by the background's mean token",
    "missing": "masked out",
    "donors": "replaced by tokens of other records",
}
CHUNK = 64  # rows at once; more leave the processor's cache on long axes
A_FEW = 4  # rows at once where somebody wants to hear of them: of models whose every row takes long


@dataclass
class Told:
    """Who hears how many rows are answered and to answer, and what is answered so far.

    Whoever raises in `report` ends the work; given again with its `parts`, it goes on from there.
    """

    report: Callable[[int, int], None]
    parts: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class Removal:
    """One record under one strategy, with what stands in for each of its tokens.

    places: every valid token as modality and index, in order; a subset of tokens is `bool [P]` over them. policy:
    `mean` puts the background's mean token in a token's place, `missing` masks it, `donors` puts a token there that is
    drawn from the background, the same one whenever this token is out. head: None while it is only kept.
    """

    head: Head | None
    target: int
    policy: str
    own: dict[str, Tokens]
    fill: dict[str, Tokens]
    places: tuple[tuple[str, int], ...]

    def scope(self, modality: str | None) -> np.ndarray:
        """Return which tokens belong to a modality, `bool [P]`; None for all."""
        return np.array([modality in (None, m) for m, _ in self.places], dtype=bool)

    def values(self, kept: np.ndarray, told: Told | None = None) -> np.ndarray:
        """Return the class's centred logit (logit minus mean logit) for subsets of tokens `bool [N, P]`, `[N]`.

        Equal subsets are answered once, and alike; a few at a time where somebody is told. Raises RecordError where the
        model answers with NaN or infinity.
        """
        rows, back = np.unique(kept, axis=0, return_inverse=True)
        parts = told.parts if told else []
        for part in torch.from_numpy(rows).split(A_FEW if told else CHUNK)[len(parts) :]:
            if told:
                told.report(len(parts) * A_FEW, len(rows))
            parts.append(self._values(part))
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            raise RecordError("without some of its tokens the record is answered with NaN", "nonfinite_output")
        return found[back.reshape(-1)]

    def _values(self, kept: Tensor) -> np.ndarray:
        count, start, given = len(kept), 0, {}
        for m, tokens in self.own.items():
            indices = [index for name, index in self.places if name == m]
            keep = torch.ones(count, tokens.mask.shape[1], dtype=torch.bool)
            keep[:, indices] = kept[:, start : start + len(indices)]
            start += len(indices)
            mask = tokens.mask.expand(count, -1)
            repeated = tokens.shaped(lambda v: v.expand(count, -1, -1), mask)
            if self.policy == "missing":
                given[m] = repeated.each(lambda v: v, mask & keep)
            else:
                given[m] = repeated.put("tokens", torch.where(keep[..., None], tokens.values, self.fill[m].values))
        assert self.head is not None, "a removal that is only kept answers nothing"
        with torch.no_grad():
            logits = self.head.combine(given).logits.double()
        return (logits[:, self.target] - logits.mean(dim=1)).numpy()


def removal(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int, policy: str = "mean", seed: int = 0
) -> Removal:
    """Prepare one record (`tokens[m] [1, T_m, D_m]`) for removals; raises CallError for an unknown policy."""
    if policy not in POLICIES:
        raise CallError(f"unknown removal policy {policy!r}; allowed: {', '.join(POLICIES)}")
    head = model.head(strategy)
    generator = torch.Generator().manual_seed(seed)
    stand_ins = {m: _stand_ins(model, m, tokens[m], head.level, policy, generator) for m in head.modalities}
    places = [(m, int(i)) for m in head.modalities for i in tokens[m].mask[0].nonzero()[:, 0]]
    with torch.no_grad():
        own, fill = head.project(tokens), head.project(stand_ins)
    return Removal(head, target, policy, own, fill, tuple(places))


def _stand_ins(
    model: FusedModel, modality: str, tokens: Tokens, level: Level, policy: str, generator: torch.Generator
) -> Tokens:
    """Return what stands in for each token, `[1, T, D]`; where tokens are masked out nobody looks at it."""
    features = tokens.at(level)
    assert features is not None
    if policy != "donors":
        return tokens.put(level, model.background.mean_token(modality, level).expand_as(features))
    donors = model.background.tokens[modality]
    given = donors.at(level)
    assert given is not None
    pool = given[donors.mask] if bool(donors.mask.any()) else model.background.mean_token(modality, level)[None]
    drawn = torch.randint(len(pool), features.shape[:2], generator=generator)
    return tokens.put(level, pool[drawn])
