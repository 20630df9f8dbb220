"""Pictures whose centre is taken: sides a multiple of a few pixels, and black around one that is too small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.shapes import ShorterSide
from fusion_core.types import Box, TokenAxis

LONGEST_RATIO = 1333 / 800  # of the longer side to the shorter, as the family resizes


class CentredEncoder(PatchEncoder):
    """Pixels as BridgeTower sees them: a long picture is made smaller, and stands on black that its patches cover too.

    The family's layers read those black patches, so they are tokens; their box in the picture has no area.
    """

    def __init__(
        self,
        source: EncoderSource,
        settings: Mapping[str, Any],
        side: int,
        patch: int,
        width: int,
        embed: Callable[[Tensor], Tensor],
    ) -> None:
        try:
            shortest, crop = (_edge(settings.get(name, side)) for name in ("size", "crop_size"))
            self.divisor = int(settings.get("size_divisor", 32))
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(f"preprocessor_config.json of {source.name} cannot be read") from error
        if not 1 <= self.divisor <= shortest:
            raise ModelError(f"preprocessor_config.json of {source.name} has a size_divisor of {self.divisor}")
        sided = {"size": {"shortest_edge": shortest}, "crop_size": crop, "do_center_crop": True}
        super().__init__(source, {**settings, **sided}, side, patch, width, embed)

    def _fitted(self, pixels: np.ndarray) -> tuple[np.ndarray, Box, tuple[str, ...]]:
        height, width = pixels.shape[:2]
        high, wide = self._size(height, width)
        image = Image.fromarray(pixels).resize((wide, high), self.normalising.resample)
        left, top = _offset(wide, self.side), _offset(high, self.side)
        shown = Image.new("RGB", (self.side, self.side))
        shown.paste(image, (-left, -top))
        x, y = width / wide, height / high
        box = (left * x, top * y, (left + self.side) * x, (top + self.side) * y)
        seen = (min(wide, self.side), min(high, self.side))
        notes = []
        if seen[0] * seen[1] < 0.98 * wide * high:
            share = 100 * seen[0] * seen[1] / (wide * high)
            notes.append(f"image cropped to its centre ({share:.0f} % of it), as the model was made for")
        if min(seen) < self.side:
            notes.append(f"image fills {seen[0]} x {seen[1]} of {self.side} x {self.side} px; the rest is black")
        return np.asarray(shown), box, tuple(notes)

    def _axis(self, box: Box) -> TokenAxis:
        axis = super()._axis(box)
        # What stands beyond the picture, on black, has no place in it.
        reach = (box[0] + box[2], box[1] + box[3])  # the centre is kept: both margins are the same
        spans = tuple(
            tuple(min(max(edge, 0.0), reach[place % 2]) for place, edge in enumerate(span)) for span in axis.spans
        )
        return TokenAxis(axis.kind, axis.labels, spans, axis.grid)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size the family resizes to; a side is at least one divisor, where the family would fail."""
        assert self.shortest is not None
        return ShorterSide(self.shortest, LONGEST_RATIO, self.divisor).size(height, width)[0]


def _edge(size: Any) -> int:
    """Return the length of a size that is a number, `{"shortest_edge": n}` or `{"height": n, "width": n}`."""
    if not isinstance(size, dict):
        return int(size)
    return int(size["shortest_edge"] if "shortest_edge" in size else size["height"])


def _offset(length: int, side: int) -> int:
    """Return where the square begins in a resized picture, below 0 where that is smaller: black is put around it."""
    return (length - side) // 2 if length >= side else -((side - length + 1) // 2)
