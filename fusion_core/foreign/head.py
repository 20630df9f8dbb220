"""What the heads of foreign models share: one strategy, the family's own fusion, its weights as they were loaded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from fusion_core.attention import open_tape
from fusion_core.errors import CallError
from fusion_core.foreign.place import HERE, Place
from fusion_core.fusion.head import Clean, Head, HeadOutput, HeadSettings, TokenSpec
from fusion_core.types import MODALITIES, Tokens

#: Rows that go through a transformer at once when nobody differentiates.
ROWS = 16


class ForeignHead(Head):
    """A head whose tokens are what the family's transformer reads: word pieces and patches before any layer.

    So an attribution to a token at the fusion seam is one to what was written or seen, and `combine` is the whole of
    the transformer.
    """

    bytes_per_element = 1_500
    kernel = "fused"
    place: Place = HERE

    @property
    def where(self) -> str:
        """Device, precision and size of the weights, such as `cpu · float32 · 0.6 GB`."""
        return self.place.words if self.place.held else ""

    @property
    def cannot(self) -> dict[str, str]:
        """What the family cannot do here, and why: one line each in `doctor`."""
        return {}

    def __init__(self, specs: Mapping[str, TokenSpec]) -> None:
        nn.Module.__init__(self)
        self.modalities = tuple(m for m in MODALITIES if m in specs)
        self.readout = self.modalities
        self.settings = HeadSettings()
        self.specs = {m: specs[m] for m in self.modalities}
        self.front = nn.ModuleDict({m: Clean() for m in self.modalities})
        self.auxiliary = nn.ModuleDict()

    def stranger(self, classes: int) -> Head:
        """Return a copy whose weights are shuffled within each tensor, drawn from torch's generator."""
        found = copy.deepcopy(self)
        with torch.no_grad():
            for weights in found.parameters():
                weights.copy_(weights.flatten()[torch.randperm(weights.numel())].view_as(weights))
        return found

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the last hidden states of one modality read alone, so that a bundle can be fitted on them.

        tokens: `[B, T, D]` as the modality's encoder gives them. Returns `[B, T, D']` at those same tokens, with the
        same mask, zeros where masked, before pooling and projection. Raises CallError where a model cannot be read so.
        """
        raise CallError(f"{modality} of this model cannot be read one modality at a time")

    def states_width(self, modality: str) -> int:
        """Return the width D' of `states`; raises CallError where there are none."""
        raise CallError(f"{modality} of this model cannot be read one modality at a time")

    def speak_alone(self, projected: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """Return what the model says when every other modality is absent, `[B, C]` per modality."""
        found = {}
        for m in self.modalities:
            others = {o: t.each(lambda v: v, t.mask & (o == m)) for o, t in projected.items()}
            found[m] = self.combine(others).logits
        return found


def fused_in_parts(
    some: Callable[[Mapping[str, Tokens]], tuple[Tensor, Tensor]], projected: Mapping[str, Tokens], rows: int = ROWS
) -> HeadOutput:
    """Run rows through a transformer; `some` gives logits and fused.

    Not more than `rows` at a time, unless somebody differentiates or a tape is open, on which a layer is heard once.
    """
    count = len(next(iter(projected.values())).mask)
    whole = torch.is_grad_enabled() or open_tape() is not None
    parts = torch.arange(count).split(count if whole else rows)
    done = [some({m: t.rows(part) for m, t in projected.items()}) for part in parts]
    logits, fused = (torch.cat(found) for found in zip(*done, strict=True))
    return HeadOutput(logits, {}, fused)


def packed(tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Bring valid tokens to the front, renumbering them: `values [B, L, D]` and `mask [B, L]`, L the longest row."""
    order = (~tokens.mask).int().argsort(dim=1, stable=True)
    longest = max(1, int(tokens.mask.sum(dim=1).max()))
    order = order[:, :longest]
    values = tokens.values.gather(1, order[..., None].expand(-1, -1, tokens.values.shape[-1]))
    return values, tokens.mask.gather(1, order)


def unpacked(values: Tensor, mask: Tensor) -> Tensor:
    """Bring packed rows `[B, L, D]` back to where `mask [B, T]` has its tokens, zeros elsewhere: `[B, T, D]`."""
    place = (mask.cumsum(dim=1) - 1).clamp(0, values.shape[1] - 1)
    found = values.gather(1, place[..., None].expand(-1, -1, values.shape[-1]))
    return torch.where(mask[..., None], found, 0.0)


def framed(values: Tensor, mask: Tensor, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Put special pieces around packed rows: `before [P, D]`, then each row's own tokens, then `after [S, D]`.

    Returns `[B, P + L + S, D]` and which positions are taken, `bool [B, P + L + S]`.
    """
    batch = len(values)
    starts = mask.sum(dim=1) + len(before)
    x = torch.cat([before.expand(batch, -1, -1), torch.where(mask[..., None], values, 0.0)], dim=1)
    x = torch.cat([x, x.new_zeros(batch, len(after), x.shape[-1])], dim=1)
    rows = torch.arange(batch)
    for number in range(len(after)):
        x = x.index_put((rows, starts + number), after[number].expand(batch, -1))
    taken = torch.arange(x.shape[1]) < (starts + len(after))[:, None]
    return x, taken


def in_parts(run: Callable[[Tokens], Tensor], tokens: Tokens) -> Tensor:
    """Run a tower over rows, a few at a time when nobody differentiates and no tape is open: `[B, ...]`."""
    whole = torch.is_grad_enabled() and (tokens.values.requires_grad or len(tokens.values) <= ROWS)
    if whole or open_tape() is not None:
        return run(tokens)
    rows = torch.arange(len(tokens.values)).split(ROWS)
    return torch.cat([run(tokens.rows(part)) for part in rows])


def read_alone(run: Callable[[Tokens], Tensor], tokens: Tokens) -> Tokens:
    """Return `states` from what reads clean tokens of one modality, `[B, T, D']`: same mask, zeros where masked."""
    clean = Tokens(torch.where(tokens.mask[..., None], tokens.values, 0.0), tokens.mask)
    return Tokens(torch.where(tokens.mask[..., None], in_parts(run, clean), 0.0), tokens.mask)
