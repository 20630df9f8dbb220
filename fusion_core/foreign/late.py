"""Dual encoders: each modality by its own tower into one space; what they agree on is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders import Encoder
from fusion_core.errors import CallError
from fusion_core.foreign.family import Parts
from fusion_core.foreign.head import ForeignHead, in_parts
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.types import Tokens


class Tower(Protocol):
    """A module from one modality's `Tokens [B, T, D]` to a vector `[B, width]`, that can be read at its tokens too."""

    width: int
    depth: int

    def states(self, tokens: Tokens, /) -> Tensor:
        """Return the last hidden states at the tokens, `[B, T, depth]`, zeros where masked."""
        ...


class LateHead(ForeignHead):
    """Zero-shot: `logits_c = s * mean over present m of cos(e_m, label_c)`, with `label [C, E]` of length 1.

    Matching (no labels): `[no match, match]` is `[0, s * cos(e_1, e_2) + b]`; where one of the pair is absent there is
    nothing to match and both are 0. fused: the mean of the vectors present `[B, E]`; of a match, both side by side.
    """

    def __init__(
        self,
        specs: Mapping[str, TokenSpec],
        towers: Mapping[str, nn.Module],
        scale: Tensor,
        bias: Tensor | None,
        label: Tensor | None,
    ) -> None:
        super().__init__(specs)
        self.towers = nn.ModuleDict(towers)
        self.label = label
        self.readout = tuple(name for m in self.modalities for name in getattr(towers[m], "readout", (m,)))
        self.scale, self.bias = scale.detach().reshape(()), None if bias is None else bias.detach().reshape(())
        self.own_bias = bias is not None

    @property
    def cannot(self) -> dict[str, str]:
        """Towers whose attention is not heard, and a match whose threshold is not known yet."""
        found = {f"attention of {m}": str(t.cannot) for m, t in self.towers.items() if hasattr(t, "cannot")}
        if self.label is None and self.bias is None:
            found["match threshold"] = "the family has none: it is taken from the pairs of --records; 0 without them"
        return found

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run every modality through its tower and compare."""
        found = {m: self._embedded(m, projected[m]) for m in self.modalities}
        return self._compared(found, {m: projected[m].mask.any(dim=1) for m in self.modalities})

    def combine_rows(self, projected: Mapping[str, Tokens], rows: Mapping[str, Tensor]) -> HeadOutput:
        """Compare combinations of a pool's rows; each row of the pool goes through its tower once."""
        found, present = {}, {}
        for m in self.modalities:
            kept = rows[m].clamp(min=0)
            present[m] = (rows[m] >= 0) & projected[m].mask.any(dim=1)[kept]
            found[m] = torch.where(present[m][:, None], self._embedded(m, projected[m])[kept], 0.0)
        return self._compared(found, present)

    def additive(self, projected: Mapping[str, Tokens]) -> Tensor | None:
        """Return the logits of zero-shot answers where every record has every modality: they are a sum already."""
        whole = self.label is not None and all(bool(t.mask.any(dim=1).all()) for t in projected.values())
        return self.combine(projected).logits if whole else None

    def cosine(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """Return the cosine of every row of the first modality with every row of the second, `[B, B]`."""
        first, second = (self._embedded(m, self.project(tokens)[m]) for m in self.modalities)
        return first @ second.T

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the states of a modality's tower at its tokens, `[B, T, D']`; raises CallError without that modality.

        Rows in which the modality is absent are zeros; the tower is not run on them.
        """
        tower, clean = self._tower(modality), self.front[modality](tokens)
        there = tokens.mask.any(dim=1).nonzero()[:, 0]
        found = clean.values.new_zeros(*tokens.mask.shape, tower.depth)
        if len(there):
            found = found.index_copy(0, there, in_parts(tower.states, clean.rows(there)))
        return Tokens(found, tokens.mask)

    def states_width(self, modality: str) -> int:
        """Return the width of a tower's states; raises CallError without that modality."""
        return self._tower(modality).depth

    def _tower(self, modality: str) -> Tower:
        if modality not in self.modalities:
            raise CallError(f"this model has no {modality}; it reads {' and '.join(self.modalities)}")
        return cast(Tower, self.towers[modality])

    def _embedded(self, modality: str, tokens: Tokens) -> Tensor:
        """Return vectors of length 1, `[B, E]`; zeros where the modality is absent, whose tower is not run."""
        there = tokens.mask.any(dim=1).nonzero()[:, 0]
        if len(there) == 0:
            return tokens.values.new_zeros(len(tokens.values), self._width)
        found = in_parts(self.towers[modality], tokens.rows(there))
        found = found / found.norm(dim=-1, keepdim=True)
        return found.new_zeros(len(tokens.values), found.shape[-1]).index_copy(0, there, found)

    @property
    def _width(self) -> int:
        return self._tower(self.modalities[0]).width

    def _compared(self, found: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> HeadOutput:
        if self.label is None:
            first, second = (found[m] for m in self.modalities)
            both = torch.stack([present[m] for m in self.modalities]).all(dim=0)
            agreed = self.scale * (first * second).sum(dim=-1) + (0.0 if self.bias is None else self.bias)
            match = torch.where(both, agreed, 0.0)
            return HeadOutput(torch.stack([torch.zeros_like(match), match], dim=1), {}, torch.cat([first, second], 1))
        count = torch.stack([present[m] for m in self.modalities]).sum(dim=0).clamp(min=1)
        mean = torch.stack([found[m] for m in self.modalities]).sum(dim=0) / count[:, None]
        return HeadOutput(self.scale * mean @ self.label.T, {}, mean)


def late_parts(
    encoders: Mapping[str, Encoder], towers: Mapping[str, nn.Module], scale: Tensor, bias: Tensor | None, asked: Asked
) -> Parts:
    """Put towers together; labels go through the text tower once, as they were typed."""
    label = None
    text = encoders["text"]
    if asked.labels:
        with torch.no_grad():
            inputs, _ = text.prepare(asked.labels)
            label = in_parts(towers["text"].eval(), text.encode(inputs))
            label = label / label.norm(dim=-1, keepdim=True)
    specs = {m: encoder.spec for m, encoder in encoders.items()}
    return Parts(encoders, LateHead(specs, towers, scale, bias, label))
