"""What encoders read and what they make of it; letters in shapes: `B` batch, `T` tokens of a modality, `D` width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a screen may import these types without loading torch
    from torch import Tensor

AxisKind = Literal["words", "patches", "frames"]
Level = Literal["tokens", "raw"]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the picture


@dataclass(frozen=True)
class TokenAxis:
    """What each token of one modality is in the raw input.

    spans: `(start, end)` characters of words, `(x0, y0, x1, y1)` pixels of patches, `(start, end)` seconds of frames.
    grid: `(rows, columns)` of patches, row-major; None for words and frames.
    """

    kind: AxisKind
    labels: tuple[str, ...]
    spans: tuple[tuple[float, ...], ...]
    grid: tuple[int, int] | None = None

    @classmethod
    def cells(cls, rows: int, columns: int, box: Box, where: str = "") -> TokenAxis:
        """Return the axis of a grid that cuts this box of the picture into cells, row by row, each named by its place.

        where: what the names begin with.
        """
        (left, top, right, bottom), places = box, [(r, c) for r in range(rows) for c in range(columns)]
        wide, high = right - left, bottom - top
        spans = tuple(
            (
                left + c * wide / columns,
                top + r * high / rows,
                left + (c + 1) * wide / columns,
                top + (r + 1) * high / rows,
            )
            for r, c in places
        )
        labels = tuple(f"{where}row {r + 1}, column {c + 1}" for r, c in places)
        return cls("patches", labels, spans, (rows, columns))


@dataclass(frozen=True)
class ModalityInputs:
    """One modality's continuous input, before its encoder.

    values: word-piece embeddings `[B, P, d]`, pixels `[B, 3, S, S]` or log-mel `[B, 80, F]`.
    mask: valid positions along the values' own axis, `bool [B, P]`; all False where the modality is absent.
    groups: which word each piece belongs to, `[B, P]`, -1 for none (text only).
    """

    values: Tensor
    mask: Tensor
    axes: tuple[TokenAxis | None, ...]
    groups: Tensor | None = None

    @property
    def presence(self) -> Tensor:
        """Which records have this modality, `bool [B]`."""
        return self.mask.any(dim=1)


@dataclass(frozen=True)
class Inputs:
    """What the encoders read, per modality, and what preprocessing had to do to each record."""

    modalities: dict[str, ModalityInputs]
    notes: tuple[tuple[str, ...], ...]

    def axes(self, row: int) -> dict[str, TokenAxis]:
        """Return the token axes of the modalities that record `row` has."""
        found = {m: part.axes[row] for m, part in self.modalities.items()}
        return {m: axis for m, axis in found.items() if axis is not None}


@dataclass(frozen=True)
class Tokens:
    """Encoded tokens of one modality: `values [B, T, D]`, `mask bool [B, T]`; all False where it is absent.

    raw: low-level features of the same tokens, `[B, T, R]`, as they were before the encoder (or early in it); None
    where an encoder gives none. positions: where tokens stand in the record, whole numbers `[B, T, P]`, for a family
    that places them by more than their order (rows and columns of a picture of any shape); None for all others.
    """

    values: Tensor
    mask: Tensor
    raw: Tensor | None = None
    positions: Tensor | None = None

    def rows(self, index: Tensor) -> Tokens:
        """Gather rows `[N]` into a new batch; -1 gives an absent row."""
        present = (index >= 0)[:, None]
        if bool(present.all()):
            return self.shaped(lambda features: features[index], self.mask[index])
        kept = index.clamp(min=0)

        def gathered(features: Tensor) -> Tensor:
            # `where` of the values' own type, not a product: what stands in row 0 may be NaN.
            return features[kept].masked_fill(~present[..., None], 0)

        return self.shaped(gathered, self.mask[kept] & present)

    def first(self, length: int) -> Tokens:
        """Return the first `length` tokens of every row."""
        return self.shaped(lambda features: features[:, :length], self.mask[:, :length])

    def each(self, change: Callable[[Tensor], Tensor], mask: Tensor | None = None) -> Tokens:
        """Return tokens with both kinds of features changed alike, and another mask where one is given.

        A change of values only: what gives another number of rows or tokens is `shaped`.
        """
        raw = None if self.raw is None else change(self.raw)
        return replace(self, values=change(self.values), mask=self.mask if mask is None else mask, raw=raw)

    def shaped(self, change: Callable[[Tensor], Tensor], mask: Tensor) -> Tokens:
        """Return tokens whose rows or tokens are others: features and positions are changed alike."""
        found = self.each(change, mask)
        return found if self.positions is None else replace(found, positions=change(self.positions))

    def at(self, level: Level) -> Tensor | None:
        """Return the features of a level, `[B, T, D]`: `tokens` for encoder tokens, `raw` for low-level features."""
        return self.values if level == "tokens" else self.raw

    def put(self, level: Level, features: Tensor) -> Tokens:
        """Return tokens with the features of one level replaced."""
        return replace(self, **{"values" if level == "tokens" else "raw": features})
