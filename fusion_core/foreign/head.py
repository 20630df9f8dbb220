"""What the heads of foreign models share: one strategy, the family's own fusion, its weights as they were loaded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from fusion_core.errors import CallError
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

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the model's last states `[B, T, D']` at tokens `[B, T, D]` of a modality that it reads alone.

        Raises CallError where the family cannot be read one modality at a time.
        """
        raise CallError(f"{type(self).__name__} cannot be read one modality at a time")

    def states_width(self, modality: str) -> int:
        """Return the width of the states of a modality; raises CallError as `states` does."""
        raise CallError(f"{type(self).__name__} cannot be read one modality at a time")

    def stranger(self, classes: int) -> Head:
        """Return a copy whose weights are shuffled within each tensor, drawn from torch's generator."""
        found = copy.deepcopy(self)
        with torch.no_grad():
            for weights in found.parameters():
                weights.copy_(weights.flatten()[torch.randperm(weights.numel())].view_as(weights))
        return found

    def speak_alone(self, projected: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """Return what the model says when every other modality is absent, `[B, C]` per modality."""
        found = {}
        for m in self.modalities:
            others = {o: t.each(lambda v: v, t.mask & (o == m)) for o, t in projected.items()}
            found[m] = self.combine(others).logits
        return found


def fused_in_parts(
    some: Callable[[Mapping[str, Tokens]], tuple[Tensor, Tensor]], projected: Mapping[str, Tokens]
) -> HeadOutput:
    """Run rows through a transformer, a few at a time when nobody differentiates; `some` gives logits and fused."""
    count = len(next(iter(projected.values())).mask)
    parts = torch.arange(count).split(count if torch.is_grad_enabled() else ROWS)
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


def unpacked(states: Tensor, mask: Tensor) -> Tensor:
    """Put states of packed rows `[B, L, D]` back where their tokens stand, `[B, T, D]`; zeros elsewhere."""
    place = (mask.cumsum(dim=1) - 1).clamp(min=0)[..., None].expand(-1, -1, states.shape[-1])
    return torch.where(mask[..., None], states.gather(1, place), 0.0)


def in_parts(run: Callable[[Tokens], Tensor], tokens: Tokens) -> Tensor:
    """Run a tower over rows, a few at a time when nobody differentiates: `[B, ...]`."""
    if torch.is_grad_enabled() and (tokens.values.requires_grad or len(tokens.values) <= ROWS):
        return run(tokens)
    rows = torch.arange(len(tokens.values)).split(ROWS)
    return torch.cat([run(tokens.rows(part)) for part in rows])
