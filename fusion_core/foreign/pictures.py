"""Pictures for foreign models: resized, cropped and normalised as the directory says, cut into patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.foreign.normalising import Normalising
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.pictures import Picture
from fusion_core.types import Box, ModalityInputs, TokenAxis, Tokens

#: A longer picture is cropped before it is resized: resized first it would take gigabytes.
LONGEST_RATIO = 8.0


class PatchEncoder:
    """Pixels into the patch embeddings a vision transformer reads, before positions and layers, row by row."""

    modality = "image"
    baseline_name = "mean colour"

    def __init__(
        self,
        source: EncoderSource,
        settings: Mapping[str, Any],
        side: int,
        patch: int,
        width: int,
        embed: Callable[[Tensor], Tensor],
    ) -> None:
        self.source, self.side, self.embed = source, side, embed
        self.grid = (side // patch, side // patch)
        self.patch = patch
        self.spec = TokenSpec(width, "patches", self.grid)
        self.normalising = Normalising.read(settings, source.name)
        try:
            self.shortest, crop = _sides(settings, side)
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(f"preprocessor_config.json of {source.name} cannot be read") from error
        if crop != side or (self.shortest is not None and self.shortest < side):
            raise ModelError(f"preprocessor_config.json of {source.name} gives {crop} px; the model reads {side} px")
        self.preprocessing: dict[str, Any] = {
            "size": side, "crop": self.shortest is not None, **self.normalising.said,
        }  # fmt: skip

    def prepare(self, pictures: Sequence[Picture | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Bring pictures to pixels `[B, 3, S, S]`; absent ones are zeros with mask False `[B, 1]`."""
        values = torch.zeros(len(pictures), 3, self.side, self.side)
        axes: list[TokenAxis | None] = []
        notes: list[tuple[str, ...]] = []
        for row, picture in enumerate(pictures):
            if picture is None:
                axes.append(None)
                notes.append(())
                continue
            pixels, box, note = self._fitted(picture.pixels)
            values[row] = self.normalising.tensor(pixels)
            axes.append(self._axis(box))
            notes.append(note)
        return ModalityInputs(values, torch.tensor([[p is not None] for p in pictures]), tuple(axes)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Embed pixels `[B, 3, S, S]` as patches `[B, rows * columns, D]`."""
        tokens = self.embed(inputs.values)
        return Tokens(torch.where(inputs.mask[..., None], tokens, 0.0), inputs.mask.expand(-1, tokens.shape[1]))

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: each picture's own mean colour everywhere."""
        return inputs.values.mean(dim=(2, 3), keepdim=True).expand_as(inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which patch every pixel `[3, S, S]` belongs to; -1 for an edge that no patch covers."""
        place = torch.arange(self.side) // self.patch
        inside = place < self.grid[0]
        cells = place[:, None] * self.grid[1] + place
        return torch.where(inside[:, None] & inside, cells, -1).expand(3, -1, -1)

    def _fitted(self, pixels: np.ndarray) -> tuple[np.ndarray, Box, tuple[str, ...]]:
        """Return `uint8 [S, S, 3]`, the box of the picture it shows, and what was done."""
        height, width = pixels.shape[:2]
        image = Image.fromarray(pixels)
        if self.shortest is None:
            squeezed = max(width, height) / min(width, height) > 1.5
            note = (f"image squeezed to a square ({width} x {height} px)",) if squeezed else ()
            shown = image.resize((self.side, self.side), self.normalising.resample)
            return np.asarray(shown), (0.0, 0.0, float(width), float(height)), note
        per = min(width, height) / self.shortest  # picture pixels per resized pixel
        if max(width, height) / min(width, height) > LONGEST_RATIO:
            wide, high = self.side * per, self.side * per
            box = ((width - wide) / 2, (height - high) / 2, (width + wide) / 2, (height + high) / 2)
            shown = image.resize((self.side, self.side), self.normalising.resample, box=box)
            return np.asarray(shown), box, _cropped(box, width, height)
        new = (int(self.shortest * width / min(width, height)), int(self.shortest * height / min(width, height)))
        left, top = (new[0] - self.side) // 2, (new[1] - self.side) // 2
        shown = image.resize(new, self.normalising.resample).crop((left, top, left + self.side, top + self.side))
        x, y = width / new[0], height / new[1]
        box = (left * x, top * y, (left + self.side) * x, (top + self.side) * y)
        return np.asarray(shown), box, _cropped(box, width, height)

    def _axis(self, box: Box) -> TokenAxis:
        rows, columns = self.grid
        # Whole patches may cover less than the square.
        x, y = (box[2] - box[0]) * self.patch / self.side, (box[3] - box[1]) * self.patch / self.side
        return TokenAxis.cells(rows, columns, (box[0], box[1], box[0] + columns * x, box[1] + rows * y))


def _cropped(box: Box, width: int, height: int) -> tuple[str, ...]:
    share = (box[2] - box[0]) * (box[3] - box[1]) / (width * height)
    return (
        (f"image cropped to its centre ({100 * share:.0f} % of it), as the model was made for",) if share < 0.98 else ()
    )


def _sides(settings: Mapping[str, Any], side: int) -> tuple[int | None, int]:
    """Return the length the shorter side is resized to (None: both sides to the square), and the side that is left."""
    size = settings.get("size", {"height": side, "width": side})
    if isinstance(size, int):
        size = {"shortest_edge": size} if settings.get("do_center_crop") else {"height": size, "width": size}
    if "shortest_edge" not in size:
        return None, int(size["height"])
    crop = settings.get("crop_size", side)
    crop = crop["height"] if isinstance(crop, dict) else crop
    if not settings.get("do_center_crop", True):
        raise ValueError("a picture of no fixed shape")
    return int(size["shortest_edge"]), int(crop)
