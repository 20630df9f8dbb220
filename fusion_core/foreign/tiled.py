"""Decoders that read a picture as tiles: marks between the tiles say which of them comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from fusion_core.asked import Asked
from fusion_core.attention import Segments
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.decoder import DecoderHead
from fusion_core.foreign.family import Parts
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.pieces import prompted_pieces
from fusion_core.foreign.prompt import Template, read_prompt, stop_pieces
from fusion_core.foreign.tiles import TileEncoder, Tiling
from fusion_core.types import Tokens

AROUND, WHOLE, END = "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"
#: What a conversation begins with: Idefics3's piece, SmolVLM's. The first SmolVLMs are published as Idefics3, so it is
#: the tokenizer that says which.
STARTS = ("<|begin_of_text|>", "<|im_start|>")
TEMPLATE = Template("image", before="User:", closing=AROUND, after=f"{END}\nAssistant:", answer=" ", framed=False)
#: Stages of one tile in the sequence: marks before it, its cells, marks behind it.
STAGES = 3


@dataclass(frozen=True)
class Marks:
    """The marks around the tiles of a picture: pieces `[M]`, the stage each stands at `[M]`, and with which tiles.

    beside: the tiles (0: the whole view) of which one must be there for the mark to be, `bool [M, 1 + tiles]`.
    """

    pieces: Tensor
    stages: Tensor
    beside: Tensor


class MarkBook:
    """The marks of every grid of tiles, cut into pieces by one tokenizer when they are first needed."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[tuple[int, int], Marks] = {}

    def of(self, rows: int, columns: int) -> Marks:
        """Return the marks of a picture of so many tiles; 0 x 0 for the whole picture alone.

        Before each tile stands its row and column, behind a row of tiles a new line, before the whole view one more
        (after the last row both are one text, which a tokenizer may make one piece), and its own mark.
        """
        if (rows, columns) not in self.known:
            tiles = rows * columns
            found: list[tuple[int, int, tuple[int, ...]]] = []
            for r in range(rows):
                row = tuple(range(1 + r * columns, 1 + (r + 1) * columns))
                for c, tile in enumerate(row):
                    found += self._cut(f"{AROUND}<row_{r + 1}_col_{c + 1}>", (tile - 1) * STAGES, (tile,))
                last = r == rows - 1
                found += self._cut("\n\n" if last else "\n", row[-1] * STAGES - 1, (*row, 0) if last else row)
            found += self._cut(AROUND + WHOLE, tiles * STAGES, (0,))
            beside = torch.tensor([[tile in with_any_of for tile in range(1 + tiles)] for _, _, with_any_of in found])
            pieces, stages = torch.tensor([(piece, stage) for piece, stage, _ in found]).T
            self.known[rows, columns] = Marks(pieces, stages, beside)
        return self.known[rows, columns]

    def _cut(self, text: str, stage: int, beside: tuple[int, ...]) -> list[tuple[int, int, tuple[int, ...]]]:
        return [(piece, stage, beside) for piece in self.tokenizer.encode(text, add_special_tokens=False).ids]


class TiledHead(DecoderHead):
    """A decoder whose picture is tiles: their marks are pieces of the prompt, and belong to no token.

    A mark is there only where a token of its tile is, so marks follow the tokens whatever picture these are of. In
    memory the marks stand before all else; what they read and where they stand follows their place among the tiles.
    """

    @cached_property
    def book(self) -> MarkBook:
        """The marks as this tokenizer cuts them."""
        return MarkBook(self.tokenizer)

    def sequence(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Return marks and prompt `[B, M + P, H]`, and which of them are there, `bool [B, M + P]`."""
        x, there = super().sequence(given)
        pieces, _, standing = self._marks(given["image"])
        return torch.cat([self.embedded(pieces), x], dim=1), torch.cat([standing, there], dim=1)

    def positions(self, there: Tensor, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Count what is there in the order of the sequence, marks among the tiles."""
        order = self._stages(given).argsort(dim=1, stable=True)
        counted = (there.gather(1, order).cumsum(dim=1) - 1).clamp(min=0)
        return torch.zeros_like(counted).scatter(1, order, counted), there.sum(dim=1)

    def visible(self, there: Tensor, given: Mapping[str, Tokens]) -> Tensor:
        """Let each read itself and what stands before it in the sequence."""
        rank = self._stages(given).argsort(dim=1, stable=True).argsort(dim=1)
        return there[:, None] & (rank[:, None] <= rank[:, :, None])

    def _segments(self, given: Mapping[str, Tokens]) -> Segments:
        return (("prompt_tiles", self._marks(given["image"])[0].shape[1]), *super()._segments(given))

    def _stages(self, given: Mapping[str, Tokens]) -> Tensor:
        """Return the stage at which everything stands, `[B, M + P]`: equal ones stand in the order of memory."""
        image = given["image"]
        _, stages, _ = self._marks(image)
        tile, tiles = _places(image)
        own = torch.where(tile > 0, tile - 1, tiles[:, None]) * STAGES + 1
        behind, parts, passed = int(own.max()) + STAGES, [stages], False
        for name, length in super()._segments(given):
            passed = passed or name == "image"
            fixed = own.new_full((1, 1), behind if passed else -1)
            parts.append(own if name == "image" else fixed.expand(len(own), length))
        return torch.cat(parts, dim=1)

    def _marks(self, image: Tokens) -> tuple[Tensor, Tensor, Tensor]:
        """Return pieces, stages and presence of every row's marks, `[B, M]`; those that are not there are any."""
        tile, _ = _places(image)
        assert image.positions is not None
        grids = torch.where(image.mask[..., None], image.positions[..., 1:], 0).amax(dim=1).tolist()
        rows = [self.book.of(r, c) if bool(m.any()) else None for (r, c), m in zip(grids, image.mask, strict=True)]
        longest = max(0 if marks is None else len(marks.pieces) for marks in rows)
        pieces, stages = torch.zeros(2, len(rows), longest, dtype=torch.long)
        standing = torch.zeros(len(rows), longest, dtype=torch.bool)
        for number, marks in enumerate(rows):
            if marks is None:
                continue
            seen = (tile[number][image.mask[number]][:, None] == torch.arange(marks.beside.shape[1])).any(dim=0)
            count = len(marks.pieces)
            pieces[number, :count], stages[number, :count] = marks.pieces, marks.stages
            standing[number, :count] = (marks.beside & seen).any(dim=1)
        return pieces, stages, standing


def _places(image: Tokens) -> tuple[Tensor, Tensor]:
    """Return each token's tile `[B, T]`, and how many tiles its picture has `[B]`, without the whole view."""
    assert image.positions is not None
    there = torch.where(image.mask[..., None], image.positions.long(), 0)
    return there[..., 0], there[..., 1].amax(dim=1) * there[..., 2].amax(dim=1)


def _started(tokenizer: Tokenizer, name: str) -> Template:
    """Return the template with what this tokenizer begins a conversation with; raises ModelError where it has none."""
    known = [start for start in STARTS if tokenizer.token_to_id(start) is not None]
    if not known:
        raise ModelError(f"tokenizer.json of {name} has no {' and no '.join(STARTS)}, which stands before its text")
    return replace(TEMPLATE, before=known[0] + TEMPLATE.before)


def build_tiled(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a model of tiles together; raises ModelError for a folder whose tokenizer or tiles do not fit it."""
    own, vision = model.model, model.config.vision_config
    settings = folder.preprocessing
    tokenizer = read_tokenizer(folder.path)
    for mark in (AROUND, END):
        if tokenizer.token_to_id(mark) is None:
            raise ModelError(f"tokenizer.json of {folder.path.name} has no {mark}, which stands around its pictures")
    tiling = Tiling.read(settings, folder.path.name, int(vision.patch_size), int(model.config.scale_factor))
    prompt = read_prompt(_started(tokenizer, folder.path.name), tokenizer, asked)

    def embed(tiles: Tensor) -> Tensor:
        found: Tensor = own.connector(own.vision_model(tiles).last_hidden_state)
        return found

    encoder = TileEncoder(folder.source, settings, tiling, int(model.config.text_config.hidden_size), embed)
    grid = tiling.grid if tiling.grid > 1 else 0
    most = tiling.most * tiling.cells**2 + len(MarkBook(tokenizer).of(grid, grid).pieces)
    pieces = prompted_pieces(folder.source, tokenizer, own.text_model, prompt, most)
    specs = {"text": pieces.spec, "image": encoder.spec}
    stops = stop_pieces(folder.settings("generation_config.json"), tokenizer, (END,))
    head = TiledHead(specs, own.text_model, model.lm_head, prompt, tokenizer, bool(asked.task), stops)
    return Parts({"text": pieces, "image": encoder}, head)
