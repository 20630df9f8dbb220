"""A foreign model's own fusion as one strategy beside others: it reads the level `raw` of tokens that carry states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from fusion_core.foreign.head import ForeignHead
from fusion_core.fusion.head import Clean, HeadOutput, TokenSpec
from fusion_core.types import Tokens


class RawFront(Clean):
    """A front that gives the low-level features of tokens as their values; invalid positions become zeros."""

    def forward(self, tokens: Tokens) -> Tokens:
        """Return `[B, T, R]` of tokens that carry `raw [B, T, R]`."""
        assert tokens.raw is not None
        return super().forward(replace(tokens, values=tokens.raw))


class OriginalHead(ForeignHead):
    """The head `own` over tokens of which it reads `raw` where it would read `values` by itself; it stays as it is."""

    def __init__(self, own: ForeignHead, specs: Mapping[str, TokenSpec]) -> None:
        super().__init__(specs)
        self.own, self.level, self.place = own, "raw", own.place
        self.front = nn.ModuleDict({m: RawFront() for m in self.modalities})
        self.readout, self.kernel, self.bytes_per_element = own.readout, own.kernel, own.bytes_per_element

    @property
    def cannot(self) -> dict[str, str]:
        """What the family cannot do."""
        return self.own.cannot

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the model's last states at tokens `[B, T, D]` of its own."""
        return self.own.states(modality, tokens)

    def states_width(self, modality: str) -> int:
        """Return the width of the states of a modality."""
        return self.own.states_width(modality)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Fuse as the family does."""
        return self.own.combine(projected)

    def combine_rows(self, projected: Mapping[str, Tokens], rows: Mapping[str, Tensor]) -> HeadOutput:
        """Fuse combinations of a pool's rows as the family does."""
        return self.own.combine_rows(projected, rows)

    def additive(self, projected: Mapping[str, Tokens]) -> Tensor | None:
        """Return the additive part where the family has one in closed form."""
        return self.own.additive(projected)

    def last_reads(self, projected: Mapping[str, Tokens]) -> Tensor:
        """Return what the family's last linear maps read."""
        return self.own.last_reads(projected)

    def free_answer(self, tokens: Mapping[str, Tokens]) -> str | None:
        """Return what the family writes by itself of one record."""
        return self.own.free_answer(self.project(tokens))

    def speak_alone(self, projected: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """Return what the family says of each modality alone."""
        return self.own.speak_alone(projected)
