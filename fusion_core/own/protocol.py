"""What a team's own model must have: seven names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

#: `(start, end)` characters or seconds per token, or `(rows, columns)` of a picture's tokens.
Spans = Sequence[tuple[float, float]] | tuple[int, int]


class OwnModel(Protocol):
    """Letters: `B` records, `T` tokens, `D` width, `C` classes.

    name: what the picker shows. classes: at least two. modalities: some of text, image, audio. strategies: at least
    one; a model that fuses in one way names that way.
    """

    name: str
    classes: Sequence[str]
    modalities: Sequence[str]
    strategies: Sequence[str]

    def prepare(self, modality: str, raw: Any) -> tuple[Tensor, Spans]:
        """Turn one raw input into what the encoder reads, a float tensor without a batch, and say where tokens lie.

        raw: a `str`; `uint8 [H, W, 3]`; or `(float32 samples [N], rate)`. Values: text `[P, d]` (such as word-piece
        embeddings), image of one shape for all pictures, audio `[..., F]`; P and F may differ between records. Spans:
        one `(start, end)` per token in characters or seconds; for an image `(rows, columns)`, row by row.
        """
        ...

    def encode(self, modality: str, values: Tensor) -> Tensor:
        """Encode `values [B, ...]` of one shape into tokens `[B, T, D]`; gradients must pass."""
        ...

    def fuse(self, tokens: Mapping[str, Tensor], strategy: str) -> Tensor:
        """Fuse `tokens[m] [B, T_m, D_m]` into logits `[B, C]`; a modality that is absent is not among them.

        There is no padding: records are grouped by length. Tokens may be fewer than `encode` gave, for some are taken
        out to see what they did.
        """
        ...
