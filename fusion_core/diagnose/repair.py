"""Verdict by repair: put clean donors in place of one modality and see whether the answer comes right.

Donors of the wanted class repair almost anything, so a repair counts only against its controls: the same donors in each
other modality, and donors of any class in the same one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fusion_core.model import FusedModel, pool_rows
from fusion_core.types import MODALITIES, Repair, Tokens

LEAST_DONORS = 4  # of the wanted class; fewer make no share
FIXED = 0.5  # share of donors that must bring the wanted class


def try_repairs(
    model: FusedModel,
    tokens: Mapping[str, Tokens],
    alone: Mapping[str, np.ndarray],
    label: int | None,
    strategy: str = "",
) -> tuple[Repair, ...]:
    """Replace, re-pair and drop each present modality of one record (`tokens[m] [1, T_m, D_m]`), the best first.

    alone: what each modality's own head says, `[C]`; without a label (an index) the other modalities vote for the
    wanted class. All rows, 33 per modality, go through the head as one batch. Donors are the bundle's background; a
    donor's class is what the model answers for it whole.
    """
    name = strategy or model.default_strategy
    players = tuple(m for m in MODALITIES if m in tokens and bool(tokens[m].mask.any()))
    if len(players) < 2:
        return ()
    classes = _donor_classes(model, name)
    answers = _answers(model, tokens, players, name)
    repairs: list[Repair] = []
    for m in players:
        wanted = label if label is not None else _vote(alone, [o for o in players if o != m])
        donors = np.flatnonzero(classes == wanted)
        if len(donors) < LEAST_DONORS:
            continue
        rates = {o: float(np.mean(answers[o][donors] == wanted)) for o in players}
        marginal = float(np.mean(answers[m][:-1] == wanted))
        control = max(marginal, *(rates[o] for o in players if o != m))
        best = int(np.bincount(answers[m][donors]).argmax())
        known = label is not None
        fixes = rates[m] >= FIXED and rates[m] > control if known else None
        action = f"replace by clean donors of class {model.classes[wanted]}"
        repairs.append(Repair(m, action, model.classes[best], rates[m], control, fixes))
        common = int(np.bincount(answers[m][:-1]).argmax())
        repairs.append(Repair(m, "re-pair", model.classes[common], marginal, control, None))
        dropped = int(answers[m][-1])
        repairs.append(Repair(m, "drop", model.classes[dropped], float(dropped == wanted), control,
                              dropped == wanted if known else None))  # fmt: skip
    return tuple(sorted(repairs, key=lambda r: (not r.action.startswith("replace"), r.control - r.fix_rate)))


def verdict(repairs: tuple[Repair, ...]) -> tuple[str, float] | None:
    """Return the modality whose repair most exceeds its controls, and by how much; None where none does."""
    tried = [r for r in repairs if r.action.startswith("replace")]
    if not tried:
        return None
    best = max(tried, key=lambda r: r.fix_rate - r.control)
    return (best.modality, best.fix_rate - best.control) if best.fix_rate > best.control else None


def _answers(
    model: FusedModel, tokens: Mapping[str, Tokens], players: tuple[str, ...], strategy: str
) -> dict[str, np.ndarray]:
    """Return the answers `[donors + 1]` with each player replaced by every donor, and, last, left out."""
    size = model.background.size
    pool = pool_rows([{m: t.each(Tensor.float) for m, t in tokens.items()}, model.background.tokens])
    stand_ins = torch.cat([1 + torch.arange(size), torch.tensor([-1])])
    rows = {m: torch.zeros(len(players) * (size + 1), dtype=torch.long) for m in tokens}
    for m in tokens:
        if m not in players:
            rows[m] -= 1
    for number, m in enumerate(players):
        rows[m][number * (size + 1) : (number + 1) * (size + 1)] = stand_ins
    with torch.no_grad():
        answers = model.fuse_rows(pool, rows, strategy).argmax(dim=1).numpy()
    return dict(zip(players, np.split(answers, len(players)), strict=True))


def _donor_classes(model: FusedModel, strategy: str) -> np.ndarray:
    with torch.no_grad():
        return model.fuse(model.background.tokens, strategy).argmax(dim=1).numpy()


def _vote(alone: Mapping[str, np.ndarray], others: list[str]) -> int:
    """Return the class the other modalities' own heads vote for, by the sum of their log probabilities."""
    return int(np.sum([np.log(alone[m] + 1e-9) for m in others], axis=0).argmax())
