"""One strategy of a team's own model behind the interface of our heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from fusion_core.errors import CallError
from fusion_core.foreign.head import ROWS, ForeignHead
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.own.protocol import OwnModel
from fusion_core.types import Tokens


class OwnHead(ForeignHead):
    """Calls the team's `fuse` with tokens that are there: rows of one length together, absent modalities left out.

    So an absent modality is inert, whatever their code does. Nothing present gives zeros. fused: the logits themselves,
    for the joint vector of their model is not known.
    """

    kernel = "explicit"

    def __init__(self, specs: Mapping[str, TokenSpec], model: OwnModel, strategy: str, classes: int) -> None:
        super().__init__(specs)
        self.model, self.strategy, self.classes = model, strategy, classes
        self.parts = nn.ModuleList(modules_of(model))

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Fuse each group of rows that have the same number of tokens."""
        first = projected[self.modalities[0]].values
        logits = first.new_zeros(len(first), self.classes)
        for rows, counts in self._groups(projected):
            given = {m: _valid(projected[m].rows(rows), n) for m, n in counts.items() if n}
            found = self.model.fuse(given, self.strategy)
            if found.shape != (len(rows), self.classes):
                raise CallError(f"fuse returned {list(found.shape)}; wanted [{len(rows)}, {self.classes}]")
            logits = logits.index_copy(0, rows, found.to(logits))
        return HeadOutput(logits, {}, logits)

    def _groups(self, projected: Mapping[str, Tokens]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        counts = torch.stack([projected[m].mask.sum(dim=1) for m in self.modalities], dim=1)
        for kind in counts.unique(dim=0):
            rows = (counts == kind).all(dim=1).nonzero()[:, 0]
            if bool(kind.any()):
                for part in rows.split(len(rows) if torch.is_grad_enabled() else ROWS):
                    yield part, dict(zip(self.modalities, kind.tolist(), strict=True))


def _valid(tokens: Tokens, count: int) -> Tensor:
    """Return the `count` valid tokens of each row, in order, `[B, count, D]`."""
    if tokens.values.shape[1] == count:
        return tokens.values
    order = (~tokens.mask).int().argsort(dim=1, stable=True)[:, :count]
    return tokens.values.gather(1, order[..., None].expand(-1, -1, tokens.values.shape[-1]))


def modules_of(model: object) -> list[nn.Module]:
    """Return the modules an object is, or holds as attributes."""
    if isinstance(model, nn.Module):
        return [model]
    return [value for value in vars(model).values() if isinstance(value, nn.Module)]
