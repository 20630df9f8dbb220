"""What Qwen2-VL and Qwen2.5-VL share: pictures resized to whole cells, and tokens placed by row and column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.decoder import DecoderHead
from fusion_core.foreign.family import Parts
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.pieces import prompted_pieces
from fusion_core.foreign.prompt import Template, read_prompt, stop_pieces
from fusion_core.foreign.shapes import ShapeEncoder
from fusion_core.types import Tokens

#: As the families' chat template frames one turn of a user: the picture first, then the text.
TEMPLATE = Template(
    "image",
    before="<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    opening="<|vision_start|>",
    closing="<|vision_end|>",
    after="<|im_end|>\n<|im_start|>assistant\n",
)
MARKS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
#: Cells of a picture at most: what the families' processors read where a folder says nothing. Folders ask for 16,384.
MAX_CELLS = 1_280
DEFAULT_PIXELS = (56 * 56, 28 * 28 * MAX_CELLS)
#: The longest picture, as a ratio of its sides, that the families take.
LONGEST_RATIO = 200


@dataclass(frozen=True)
class CellSize:
    """Sides of whole cells, about as many pixels as the picture has, between two limits; the shape is kept.

    cell: pixels of a cell's side. least, most: pixels of a resized picture. asked: the limit the folder asks for.
    """

    cell: int
    least: int
    most: int
    asked: int

    @classmethod
    def read(cls, settings: Mapping[str, Any], name: str, cell: int) -> CellSize:
        """Read a `preprocessor_config.json`; raises ModelError, with the folder's name, for limits out of range."""
        try:
            size = settings.get("size") or {}
            least = _limit(settings, size, "min_pixels", "shortest_edge", DEFAULT_PIXELS[0])
            most = _limit(settings, size, "max_pixels", "longest_edge", DEFAULT_PIXELS[1])
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"preprocessor_config.json of {name} cannot be read") from error
        if not 1 <= least <= min(most, MAX_CELLS * cell**2):
            raise ModelError(
                f"preprocessor_config.json of {name} asks for {least:,} to {most:,} pixels; at least 1, and the lower "
                f"limit at most the upper one and {MAX_CELLS:,} cells of {cell} x {cell} pixels"
            )
        return cls(cell, least, min(most, MAX_CELLS * cell**2), most)

    @property
    def said(self) -> dict[str, Any]:
        """Return its limits as they are written down."""
        return {"cell": self.cell, "least_pixels": self.least, "most_pixels": self.most}

    @property
    def cells(self) -> int:
        """Cells of a picture at most, the longest included: rounding up adds a row and a column to a small one."""
        least, most = (math.ceil(pixels / self.cell**2) for pixels in (self.least, self.most))
        longer = math.sqrt(LONGEST_RATIO) + 1 / math.sqrt(LONGEST_RATIO)
        return max(most, math.ceil(longer * math.sqrt(most)), math.ceil(least + longer * math.sqrt(least) + 1))

    def size(self, height: int, width: int) -> tuple[tuple[int, int], tuple[str, ...]]:
        """Return the size the family resizes to, and a note where it is not what the family or the folder would do."""
        notes: tuple[str, ...] = ()
        shown = (height, width)
        if max(shown) > LONGEST_RATIO * min(shown):
            # The family refuses such a picture; read as if its longer side were 200 times the shorter.
            longest = LONGEST_RATIO * min(shown)
            shown = (min(height, longest), min(width, longest))
            notes = (f"image of {width} x {height} px squeezed: sides of over {LONGEST_RATIO} to 1 are not read",)
        found = self._fitted(*shown, self.most)
        if self.asked > self.most and found != self._fitted(*shown, self.asked):
            notes = (*notes, f"image reduced to {found[1]} x {found[0]} px: at most {MAX_CELLS:,} cells are read here")
        return found, notes

    def _fitted(self, height: int, width: int, most: int) -> tuple[int, int]:
        high, wide = (round(side / self.cell) * self.cell for side in (height, width))
        if high * wide > most:
            shrunk = math.sqrt(height * width / most)
            return self._whole(height / shrunk, math.floor), self._whole(width / shrunk, math.floor)
        if high * wide < self.least:
            grown = math.sqrt(self.least / (height * width))
            return self._whole(height * grown, math.ceil), self._whole(width * grown, math.ceil)
        return high, wide

    def _whole(self, side: float, rounded: Callable[[float], int]) -> int:
        return max(1, rounded(side / self.cell)) * self.cell


def _limit(settings: Mapping[str, Any], size: Mapping[str, Any], old: str, new: str, default: int) -> int:
    """Return a limit by any of its names; the default only where no size is given at all, as the families do."""
    for found in (settings.get(old), size.get(new), size.get(old), None if size else default):
        if found is not None:
            return int(found)
    raise ValueError(f"a size without {new}")


class PlacedHead(DecoderHead):
    """A decoder with three rotary indices per token: time, row and column.

    Pieces count on in all three. A picture stands at one time; its cells stand at their rows and columns from there,
    those that are left where others are masked out, and what follows counts on behind the largest of them.
    """

    def positions(self, there: Tensor, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Return where every piece of the prompt stands, `[3, B, P]`, and where the next would, `[B]`."""
        image = given["image"]
        assert image.positions is not None
        start = 0
        for name, length in self._segments(given):
            if name == "image":
                break
            start += length
        end = start + image.mask.shape[1]
        pieces = there.clone()
        pieces[:, start:end] = False
        before = pieces[:, :start].sum(dim=1)
        extent = torch.where(image.mask, image.positions.amax(dim=2) + 1, 0).amax(dim=1).long()
        counted = (pieces.cumsum(dim=1) - 1).clamp(min=0)
        counted[:, end:] += extent[:, None]
        counted[:, start:end] = before[:, None]
        placed = counted.repeat(3, 1, 1)
        placed[1:, :, start:end] += image.positions.permute(2, 0, 1)
        return placed, pieces.sum(dim=1) + extent


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a Qwen2-VL or Qwen2.5-VL together; raises ModelError where its parts or files do not fit each other."""
    own, text = model.model, model.config.text_config
    settings = {
        "image_mean": OPENAI_CLIP_MEAN,
        "image_std": OPENAI_CLIP_STD,
        **folder.preprocessing,
    }
    _agree(model, settings, folder.path.name)
    tokenizer = read_tokenizer(folder.path)
    _marked(tokenizer, folder.path.name)
    prompt = read_prompt(TEMPLATE, tokenizer, asked)
    cell = int(own.visual.config.patch_size) * int(own.visual.config.spatial_merge_size)
    sizing = CellSize.read(settings, folder.source.name, cell)
    encoder = ShapeEncoder(
        folder.source, settings, cell, int(text.hidden_size), sizing, embedding(own.visual), placed=True
    )
    pieces = prompted_pieces(folder.source, tokenizer, own.language_model, prompt, sizing.cells)
    longest = prompt.length + sizing.cells + pieces.limit
    window = int(text.sliding_window or 0)
    if "sliding_attention" in text.layer_types and window < longest:
        raise ModelError(f"{folder.path.name} attends within {window:,} pieces; {longest:,} at once are read here")
    specs = {"text": pieces.spec, "image": encoder.spec}
    stops = stop_pieces(folder.settings("generation_config.json"), tokenizer, ("<|im_end|>", "<|endoftext|>"))
    head = PlacedHead(specs, own.language_model, model.lm_head, prompt, tokenizer, bool(asked.task), stops)
    return Parts({"text": pieces, "image": encoder}, head)


def embedding(vision: Any) -> Callable[[Tensor], Tensor]:
    """Return what makes cells `[B, N, D]`, row by row, of pixels `[B, 3, H, W]` whose sides are whole cells."""
    patch, merge = int(vision.config.patch_size), int(vision.config.spatial_merge_size)
    frames = int(vision.config.temporal_patch_size)

    def embed(pixels: Tensor) -> Tensor:
        count, _, high, wide = pixels.shape
        rows, columns = high // (patch * merge), wide // (patch * merge)
        cut = pixels.reshape(count, 3, rows, merge, patch, columns, merge, patch)
        # The patches of a cell follow each other; a still picture is the same frame over and over.
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7)[..., None, :, :].expand(*[-1] * 6, frames, -1, -1)
        grid = torch.tensor([[1, rows * merge, columns * merge]]).expand(count, -1)
        found: Tensor = vision(cut.reshape(count * rows * columns * merge**2, -1), grid_thw=grid).pooler_output
        return found.unflatten(0, (count, rows * columns))

    return embed


def _agree(model: Any, settings: Mapping[str, Any], name: str) -> None:
    """Raise ModelError where the preprocessor, the vision tower and the language model do not fit each other."""
    vision, language = model.model.visual, model.model.language_model
    for ours, theirs in (
        ("patch_size", "patch_size"),
        ("merge_size", "spatial_merge_size"),
        ("temporal_patch_size", "temporal_patch_size"),
    ):
        read, given = getattr(vision.config, theirs), settings.get(ours)
        if given is not None and given != read:
            raise ModelError(f"preprocessor_config.json of {name} gives {ours} {given!r}; the model reads {read}")
    wide, width = int(vision.merger.mlp[-1].out_features), int(language.config.hidden_size)
    if vision.config.in_channels != 3 or wide != width:
        raise ModelError(
            f"the vision tower of {name} reads {vision.config.in_channels} channels and gives tokens of {wide} "
            f"numbers; pictures have 3, and its language model reads {width}"
        )
    cell = int(vision.config.patch_size) * int(vision.config.spatial_merge_size)
    if getattr(vision.config, "window_size", cell) < cell:
        raise ModelError(f"config.json of {name} has windows of {vision.config.window_size} px, but cells of {cell}")
    sections, angles = language.rotary_emb.mrope_section, len(language.rotary_emb.inv_freq)
    if not all(isinstance(n, int) and n >= 0 for n in sections) or sum(sections) != angles:
        raise ModelError(f"config.json of {name} has mrope_section {sections}; together they are {angles}")


def _marked(tokenizer: Tokenizer, name: str) -> None:
    missing = [mark for mark in MARKS if tokenizer.token_to_id(mark) is None]
    if missing:
        raise ModelError(f"tokenizer.json of {name} has no {missing[0]}, with which the family frames a record")
