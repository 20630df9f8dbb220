"""ViLT (Kim 2021): one stream over word pieces and patches of any shape of picture, read from its first piece."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fusion_core.asked import Asked
from fusion_core.attention import Segments
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import CallError
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import ForeignHead, framed, fused_in_parts, packed, read_alone, unpacked
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.layers import normed_first
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.foreign.shapes import ShapeEncoder, ShorterSide
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.types import Tokens

LONGEST_RATIO = 1333 / 800  # of the longer side to the shorter, as the family resizes


class ViltHead(ForeignHead):
    """`[start; pieces; end; class; patches]` through the transformer; the start piece, pooled, is the answer.

    A token that is absent is no key. Answers to questions: the classifier's logits of the classes asked for; a match:
    `[0, rank]`, 0 for both where one of the pair is absent. Nothing present gives zeros.
    """

    kernel = "explicit"

    def __init__(self, specs: Mapping[str, TokenSpec], model: Any, pieces: PieceEncoder, kept: Tensor | None) -> None:
        super().__init__(specs)
        self.stream, self.kept = model.vilt, kept
        self.out = model.rank_output if kept is None else model.classifier
        self.readout = ("text_start",)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)
        self.classes = 2 if kept is None else len(kept)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run rows through the stream, a few at a time when nobody differentiates."""
        return fused_in_parts(self._some, projected)

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the stream's last states, after its norm, at the tokens of one modality with the other absent."""
        return read_alone(self._image_states if modality == "image" else self._text_states, tokens)

    def states_width(self, modality: str) -> int:
        """Return the width of the stream."""
        return int(self.stream.config.hidden_size)

    def _image_states(self, image: Tokens) -> Tensor:
        return self._streamed(_none(image), image)[:, -image.mask.shape[1] :]

    def _text_states(self, text: Tokens) -> Tensor:
        return unpacked(self._streamed(text, _none(text))[:, len(self.before) :], text.mask)

    def _some(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        text, image = given["text"], given["image"]
        fused = self.stream.pooler(self._streamed(text, image))
        logits = self.out(fused)
        present = torch.stack([t.mask.any(dim=1) for t in (text, image)])
        if self.kept is None:
            match = torch.where(present.all(dim=0), logits[:, 0], 0.0)
            return torch.stack([torch.zeros_like(match), match], dim=1), fused
        return torch.where(present.any(dim=0)[:, None], logits[:, self.kept], 0.0), fused

    def _streamed(self, text: Tokens, image: Tokens) -> Tensor:
        """Return the stream's states after its last norm, words first."""
        words, taken = self._words(text)
        patches, seen = self._patches(image)
        x, there = torch.cat([words, patches], dim=1), torch.cat([taken, seen], dim=1)[:, None, None]
        length = words.shape[1] - len(self.before) - len(self.after)
        axis: Segments = (("text_start", len(self.before)), ("text", length), ("text_end", len(self.after)))
        axis = (*axis, ("image_summary", 1), ("image", image.mask.shape[1]))
        with hearing("stream", axis, axis, there):
            for layer in self.stream.encoder.layer:
                x = normed_first(layer, x, there)
        return self.stream.layernorm(x)

    def _words(self, text: Tokens) -> tuple[Tensor, Tensor]:
        """Return word embeddings as the stream reads them, and which are there: none at all where text is absent."""
        x, taken = framed(*packed(text), self.before, self.after)
        words = self.stream.embeddings.text_embeddings(inputs_embeds=x)
        # The start piece carries the answer: it stays where text is absent.
        first = torch.arange(taken.shape[1]) < len(self.before)
        taken = taken & (text.mask.any(dim=1)[:, None] | first)
        return words + self.stream.embeddings.token_type_embeddings.weight[0], taken

    def _patches(self, image: Tokens) -> tuple[Tensor, Tensor]:
        """Return the class token and the patches, and which are there: none at all where the image is absent."""
        own = self.stream.embeddings
        first = (own.cls_token + own.position_embeddings[:, :1]).expand(len(image.values), -1, -1)
        patches = torch.cat([first, image.values], dim=1) + own.token_type_embeddings.weight[1]
        return patches, torch.cat([image.mask.any(dim=1, keepdim=True), image.mask], dim=1)


def _none(other: Tokens) -> Tokens:
    """Return an absent modality beside one that is read alone: one token that is not there."""
    return Tokens(
        other.values.new_zeros(len(other.values), 1, other.values.shape[2]), other.mask.new_zeros(len(other.mask), 1)
    )


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a ViLT together."""
    own, config = model.vilt.embeddings, model.config
    table = own.text_embeddings.word_embeddings
    limit = int(config.max_position_embeddings)
    pieces = PieceEncoder(folder.source, read_tokenizer(folder.path), table, limit, int(config.pad_token_id or 0))
    side = int(config.image_size) // int(config.patch_size)
    places = own.position_embeddings[:, 1:].transpose(1, 2).unflatten(2, (side, side))

    def embed(pixels: Tensor) -> Tensor:
        x = own.patch_embeddings(pixels)
        placed = functional.interpolate(places, size=x.shape[2:], mode="bilinear", align_corners=True)
        return (x + placed).flatten(2).transpose(1, 2)

    settings, patch = folder.preprocessing, int(config.patch_size)
    sizing = ShorterSide.read(settings, folder.source.name, LONGEST_RATIO, patch)
    shapes = ShapeEncoder(folder.source, settings, patch, int(config.hidden_size), sizing, embed)
    kept = None if asked.task else _kept(model, asked)
    head = ViltHead({"text": pieces.spec, "image": shapes.spec}, model, pieces, kept)
    return Parts({"text": pieces, "image": shapes}, head)


def _kept(model: Any, asked: Asked) -> Tensor:
    """Return which of the classifier's answers the labels are; raises CallError for one it does not have."""
    known = {str(name): int(number) for number, name in model.config.id2label.items()}
    unknown = [label for label in asked.labels if label not in known]
    if unknown:
        some = ", ".join(list(known)[:8])
        raise CallError(f"this model's classifier has no answer {unknown[0]!r}; its {len(known):,} begin with {some}")
    return torch.tensor([known[label] for label in asked.labels])


CLASSES = {"labels": "ViltForQuestionAnswering", "match": "ViltForImageAndTextRetrieval"}

family("vilt")(Family(CLASSES, "early", build))
