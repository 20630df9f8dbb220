"""Pictures that keep their shape: both sides whole patches, the grid each its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.foreign.normalising import Normalising
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.pictures import Picture
from fusion_core.types import ModalityInputs, TokenAxis, Tokens


class Sizing(Protocol):
    """The size a family resizes a picture to."""

    @property
    def said(self) -> dict[str, Any]:
        """Return its limits as they are written down."""
        ...

    def size(self, height: int, width: int) -> tuple[tuple[int, int], tuple[str, ...]]:
        """Return the new `(height, width)`, each at least one patch and whole ones, and what is to be said of it."""
        ...


@dataclass(frozen=True)
class ShorterSide:
    """The shorter side to `shortest`, the longer to at most `longest` times that; patches of `patch` pixels."""

    shortest: int
    longest: float
    patch: int

    @classmethod
    def read(cls, settings: Mapping[str, Any], name: str, longest: float, patch: int) -> ShorterSide:
        """Read a `preprocessor_config.json`; raises ModelError, with the folder's name, when it cannot be read."""
        try:
            size = settings.get("size", 384)
            shortest = int(size["shortest_edge"] if isinstance(size, dict) else size)
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(f"preprocessor_config.json of {name} cannot be read") from error
        if not patch <= shortest <= 2_048:
            raise ModelError(f"preprocessor_config.json of {name} is out of range")
        return cls(shortest, longest, patch)

    @property
    def said(self) -> dict[str, Any]:
        """Return its limits as they are written down."""
        return {"shortest": self.shortest}

    def size(self, height: int, width: int) -> tuple[tuple[int, int], tuple[str, ...]]:
        """Return the size the family resizes to; a side is at least one patch, where the family would fail."""
        scale = self.shortest / min(height, width)
        most = int(self.longest * self.shortest)
        if max(height, width) * scale > most:
            scale = most / max(height, width)
        high, wide = (max(1, int(side * scale + 0.5) // self.patch) * self.patch for side in (height, width))
        return (high, wide), ()


class ShapeEncoder:
    """Pixels into patch embeddings with their positions, so that every shape of picture is placed as the family does.

    The grid belongs to the record: it is on the axis, not in the spec. placed: whether tokens carry their row and
    column, for a head that places them.
    """

    modality = "image"
    baseline_name = "mean colour"

    def __init__(
        self,
        source: EncoderSource,
        settings: Mapping[str, Any],
        patch: int,
        width: int,
        sizing: Sizing,
        embed: Callable[[Tensor], Tensor],
        placed: bool = False,
    ) -> None:
        self.source, self.patch, self.sizing, self.embed = source, patch, sizing, embed
        self.spec = TokenSpec(width, "patches", places=2 if placed else 0)
        self.normalising = Normalising.read(settings, source.name)
        self.preprocessing: dict[str, Any] = {**sizing.said, **self.normalising.said}

    def prepare(self, pictures: Sequence[Picture | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Bring pictures to pixels `[B, 3, H, W]`, zeros to the right and below a smaller one; mask `[B, 1]`."""
        parts: list[Tensor | None] = []
        axes: list[TokenAxis | None] = []
        notes: list[tuple[str, ...]] = []
        for picture in pictures:
            pixels, axis, note = (None, None, ()) if picture is None else self._fitted(picture.pixels)
            parts.append(pixels)
            axes.append(axis)
            notes.append(note)
        high = max([p.shape[1] for p in parts if p is not None] or [self.patch])
        wide = max([p.shape[2] for p in parts if p is not None] or [self.patch])
        values = torch.zeros(len(parts), 3, high, wide)
        for row, part in enumerate(parts):
            if part is not None:
                values[row, :, : part.shape[1], : part.shape[2]] = part
        return ModalityInputs(values, torch.tensor([[p is not None] for p in parts]), tuple(axes)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Embed pixels as patches `[B, N, D]`, those of one grid together."""
        grids = [axis.grid if axis is not None else None for axis in inputs.axes]
        longest = max([g[0] * g[1] for g in grids if g is not None] or [1])
        tokens = inputs.values.new_zeros(len(grids), longest, self.spec.width)
        for grid in sorted({g for g in grids if g is not None}):
            rows = torch.tensor([n for n, g in enumerate(grids) if g == grid])
            own = self.embed(inputs.values[rows, :, : grid[0] * self.patch, : grid[1] * self.patch])
            tokens = tokens.index_copy(0, rows, functional.pad(own, (0, 0, 0, longest - own.shape[1])))
        counts = torch.tensor([g[0] * g[1] if g is not None else 0 for g in grids])
        places = _places(grids, longest) if self.spec.places else None
        return Tokens(tokens, torch.arange(longest) < counts[:, None], None, places)

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: each picture's own mean colour everywhere."""
        means = []
        for value, axis in zip(inputs.values, inputs.axes, strict=True):
            rows, columns = axis.grid if axis is not None and axis.grid is not None else (1, 1)
            own = value[:, : rows * self.patch, : columns * self.patch]
            means.append(own.mean(dim=(1, 2), keepdim=True).expand_as(value))
        return torch.stack(means)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which patch every pixel `[3, H, W]` of the first row belongs to, -1 beside a smaller picture."""
        axis = inputs.axes[0]
        assert axis is not None
        assert axis.grid is not None
        row, column = (torch.arange(n) // self.patch for n in inputs.values.shape[2:])
        inside = (row < axis.grid[0])[:, None] & (column < axis.grid[1])
        return torch.where(inside, row[:, None] * axis.grid[1] + column, -1).expand(3, -1, -1)

    def _fitted(self, pixels: np.ndarray) -> tuple[Tensor, TokenAxis, tuple[str, ...]]:
        height, width = pixels.shape[:2]
        (high, wide), said = self.sizing.size(height, width)
        scaled = self.normalising.tensor(
            np.asarray(Image.fromarray(pixels).resize((wide, high), self.normalising.resample))
        )
        rows, columns = high // self.patch, wide // self.patch
        odd = (wide / high) / (width / height)
        note = (f"image squeezed to {wide} x {high} px from {width} x {height}",) if not 0.67 < odd < 1.5 else ()
        return scaled, TokenAxis.cells(rows, columns, (0.0, 0.0, width, height)), (*said, *note)


def _places(grids: Sequence[tuple[int, int] | None], longest: int) -> Tensor:
    """Return row and column of every patch, `int32 [B, N, 2]`; zeros where there is none."""
    found = torch.zeros(len(grids), longest, 2, dtype=torch.int32)
    for number, grid in enumerate(grids):
        if grid is not None:
            cells = torch.arange(grid[0] * grid[1], dtype=torch.int32)
            found[number, : len(cells)] = torch.stack([cells // grid[1], cells % grid[1]], dim=1)
    return found
