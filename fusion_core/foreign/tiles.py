"""Pictures cut into square tiles, and the whole picture small behind them: each tile's patches, merged, are tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.foreign.head import ROWS
from fusion_core.foreign.normalising import Normalising
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.pictures import Picture
from fusion_core.types import Box, ModalityInputs, TokenAxis, Tokens

#: Length of the longer side the family never goes beyond, and tiles of a picture that are read at most.
LONGEST, MOST_TILES = 4_096, 100


@dataclass(frozen=True)
class Tiling:
    """How a folder cuts pictures up: the longer side to `longest` px, both then to whole tiles of `side` px.

    split: whether it is cut at all; otherwise a picture is squeezed to one tile. merged: pixels on each side of a
    token's cell. cells: cells on each side of a tile; what is left over at its right and lower edge, none of them sees.
    """

    longest: int
    side: int
    split: bool
    merged: int

    @classmethod
    def read(cls, settings: Mapping[str, Any], name: str, patch: int, scale: int) -> Tiling:
        """Read a `preprocessor_config.json`; raises ModelError for sizes that are not read, or do not fit the model."""
        try:
            found = cls(
                int(settings["size"]["longest_edge"]),
                int(settings["max_image_size"]["longest_edge"]),
                bool(settings.get("do_image_splitting", True)),
                patch * scale,
            )
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"preprocessor_config.json of {name} needs size.longest_edge and max_image_size.longest_edge"
            ) from error
        if not settings.get("do_resize", True):
            raise ModelError(f"preprocessor_config.json of {name} leaves pictures their size, which is not read here")
        if not (found.merged <= found.side <= found.longest <= LONGEST) or found.side // patch % scale:
            raise ModelError(
                f"preprocessor_config.json of {name} asks for {found.longest} px in tiles of {found.side} px; allowed: "
                f"tiles of whole cells of {found.merged} px, no larger than the picture, and a picture to {LONGEST} px"
            )
        if found.most > MOST_TILES:
            raise ModelError(f"preprocessor_config.json of {name} asks for {found.most} tiles; at most {MOST_TILES}")
        return found

    @property
    def cells(self) -> int:
        """Return the number of cells on each side of a tile."""
        return self.side // self.merged

    @property
    def grid(self) -> int:
        """Return the number of tiles on each side of a square picture: no picture has more rows or columns."""
        return -(-self.longest // self.side) if self.split else 1

    @property
    def most(self) -> int:
        """Return the largest number of tiles of a picture, with the whole view."""
        return self.grid**2 + (self.grid > 1)

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the (height, width) a picture is resized to first, and then, to be whole tiles."""
        first = _longer_side(height, width, self.longest)
        if not self.split:
            return first, (self.side, self.side)
        whole = math.ceil(max(first) / self.side) * self.side
        ratio = first[1] / first[0]
        # A side is at least one tile, where the family would fail.
        if first[1] >= first[0]:
            return first, (max(1, math.ceil(int(whole / ratio) / self.side)) * self.side, whole)
        return first, (whole, max(1, math.ceil(int(whole * ratio) / self.side)) * self.side)


def _longer_side(height: int, width: int, longest: int) -> tuple[int, int]:
    """Return a size of this longer side; the other is made even by one pixel more, and is at least one pixel."""
    ratio = width / height
    other = int(longest / ratio) if width >= height else int(longest * ratio)
    other = max(1, other + other % 2)
    return (other, longest) if width >= height else (longest, other)


class TileEncoder:
    """Pixels of tiles `[B, N, 3, S, S]` into merged patches as the language model reads them, tile after tile.

    Tiles stand row by row, the whole picture last; a picture of one tile is the whole picture alone. A place in the
    picture is read twice, in its tile and in the whole view: these are elements of their own in `values`, so each
    scores for its own cell. Positions `[B, T, 3]`: the tile, counted from 1 (0: the whole view), rows and columns of
    tiles (0: no tiles).
    """

    modality = "image"
    baseline_name = "mean colour"

    def __init__(
        self,
        source: EncoderSource,
        settings: Mapping[str, Any],
        tiling: Tiling,
        width: int,
        embed: Callable[[Tensor], Tensor],
    ) -> None:
        self.source, self.tiling, self.embed = source, tiling, embed
        single = None if tiling.grid > 1 else (tiling.cells, tiling.cells)
        self.spec = TokenSpec(width, "patches", single, places=3)
        self.normalising = Normalising.read({"resample": Image.Resampling.LANCZOS, **settings}, source.name)
        self.preprocessing: dict[str, Any] = {
            "longest": tiling.longest, "tile": tiling.side, "split": tiling.split, **self.normalising.said,
        }  # fmt: skip

    def prepare(self, pictures: Sequence[Picture | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Bring pictures to tiles `[B, N, 3, S, S]`, zeros behind those of a picture with fewer; mask `[B, N]`."""
        found = [(None, None, ()) if picture is None else self._fitted(picture.pixels) for picture in pictures]
        side, counts = self.tiling.side, [0 if tiles is None else len(tiles) for tiles, _, _ in found]
        values = torch.zeros(len(found), max([1, *counts]), 3, side, side)
        for row, (tiles, _, _) in enumerate(found):
            if tiles is not None:
                values[row, : len(tiles)] = tiles
        mask = torch.arange(values.shape[1]) < torch.tensor(counts, dtype=torch.long)[:, None]
        return ModalityInputs(values, mask, tuple(axis for _, axis, _ in found)), [note for _, _, note in found]

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Embed tiles as cells `[B, N * cells, D]` with their positions, some tiles at a time."""
        cells = self.tiling.cells**2
        tokens = inputs.values.new_zeros(*inputs.mask.shape, cells, self.spec.width)
        if bool(inputs.mask.any()):
            own = torch.cat([self.embed(some) for some in inputs.values[inputs.mask].split(ROWS)])
            tokens = tokens.index_put((inputs.mask,), own)
        places = torch.stack([self._places(axis, inputs.mask.shape[1]) for axis in inputs.axes])
        mask = inputs.mask.repeat_interleave(cells, dim=1)
        return Tokens(tokens.flatten(1, 2), mask, None, places.repeat_interleave(cells, dim=1))

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: each picture's own mean colour everywhere."""
        own = inputs.mask[..., None]
        means = torch.where(own, inputs.values.mean(dim=(3, 4)), 0.0).sum(1) / own.sum(1).clamp(min=1)
        return torch.where(own[..., None, None], means[:, None, :, None, None], inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which cell every pixel `[N, 3, S, S]` of the first row's tiles belongs to; -1 where none sees it."""
        cells, side = self.tiling.cells, self.tiling.side
        place = torch.arange(side) // self.tiling.merged
        inside = (place < cells)[:, None] & (place < cells)
        tile = torch.arange(inputs.mask.shape[1])[:, None, None] * cells**2 + place[:, None] * cells + place
        seen = inside & inputs.mask[0][:, None, None]
        return torch.where(seen, tile, -1)[:, None].expand(-1, 3, -1, -1)

    def _fitted(self, pixels: np.ndarray) -> tuple[Tensor, TokenAxis, tuple[str, ...]]:
        height, width = pixels.shape[:2]
        side, resample = self.tiling.side, self.normalising.resample
        first, (high, wide) = self.tiling.sizes(height, width)
        image = Image.fromarray(pixels).resize(first[::-1], resample).resize((wide, high), resample)
        rows, columns = (high // side, wide // side) if (high, wide) != (side, side) else (0, 0)
        views = [
            image.crop((c * side, r * side, (c + 1) * side, (r + 1) * side))
            for r in range(rows)
            for c in range(columns)
        ]
        views.append(image.resize((side, side), resample))
        odd = (wide / high) / (width / height)
        note = (f"image squeezed to {wide} x {high} px from {width} x {height}",) if not 0.67 < odd < 1.5 else ()
        tiles = torch.stack([self.normalising.tensor(np.asarray(view)) for view in views])
        return tiles, self._axis(rows, columns, (0.0, 0.0, float(width), float(height))), note

    def _axis(self, rows: int, columns: int, picture: Box) -> TokenAxis:
        if not rows:
            return self._cells(picture)
        _, _, width, height = picture
        x, y = width / columns, height / rows
        parts = [
            self._cells((c * x, r * y, (c + 1) * x, (r + 1) * y), f"tile {r + 1},{c + 1} ")
            for r in range(rows)
            for c in range(columns)
        ]
        parts.append(self._cells(picture, "whole picture, "))
        labels, spans = ([one for part in parts for one in getattr(part, name)] for name in ("labels", "spans"))
        return TokenAxis("patches", tuple(labels), tuple(spans))

    def _cells(self, shown: Box, where: str = "") -> TokenAxis:
        """Return the cells of a tile that shows this part of the picture: whole ones may cover less than the tile."""
        cells, (left, top, right, bottom) = self.tiling.cells, shown
        share = cells * self.tiling.merged / self.tiling.side
        return TokenAxis.cells(
            cells, cells, (left, top, left + (right - left) * share, top + (bottom - top) * share), where
        )

    def _places(self, axis: TokenAxis | None, count: int) -> Tensor:
        """Return where tiles stand, `[N, 3]`; the columns are those tiles whose first cell lies at the top."""
        found = torch.zeros(count, 3, dtype=torch.int32)
        if axis is not None and axis.grid is None:
            tiles = len(axis.spans) // self.tiling.cells**2 - 1
            columns = sum(axis.spans[n * self.tiling.cells**2][1] == 0 for n in range(tiles))
            found[:tiles, 0] = torch.arange(1, tiles + 1)
            found[: tiles + 1, 1:] = torch.tensor([tiles // columns, columns])
        return found
