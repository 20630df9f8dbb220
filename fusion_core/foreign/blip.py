"""BLIP (Li 2022): text that cross-attends to the picture in every layer; answers are read by a decoder, or matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.attention import Segments
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import ForeignHead, framed, fused_in_parts, packed, read_alone, unpacked
from fusion_core.foreign.hearing import explicit_attention, hearing
from fusion_core.foreign.layers import attended
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.types import Tokens


class BlipHead(ForeignHead):
    """Patches through the vision tower; pieces through text layers, each followed by cross-attention to the patches.

    Where the image is absent the cross-attention block is skipped; where text is absent its start piece is alone.
    Answers to questions are scored by the decoder: mean log-likelihood per piece of each candidate. A match: the two
    logits of the family's own head, 0 where one of the pair is absent. Nothing present gives zeros. fused: the last
    state of the start piece.
    """

    kernel = "explicit"

    def __init__(
        self, specs: Mapping[str, TokenSpec], model: Any, pieces: PieceEncoder, answers: Sequence[Sequence[int]]
    ) -> None:
        super().__init__(specs)
        self.vision, self.text = model.vision_model, model.text_encoder
        self.match = None if answers else model.itm_head
        self.decoder = model.text_decoder if answers else None
        self.answers = [list(answer) for answer in answers]
        self.readout = ("text_start", "text", "text_end") if answers else ("text_start",)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run rows through both, a few at a time when nobody differentiates."""
        return fused_in_parts(self._some, projected)

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the text encoder's last states with cross-attention skipped, or the vision tower's after its norm."""
        return read_alone(self._image_states if modality == "image" else self._text_states, tokens)

    def states_width(self, modality: str) -> int:
        """Return the width of the text encoder or of the vision tower."""
        return int((self.vision if modality == "image" else self.text).config.hidden_size)

    def _image_states(self, image: Tokens) -> Tensor:
        return self._seen(image)[0][:, 1:]

    def _text_states(self, text: Tokens) -> Tensor:
        return unpacked(self._read(text, None, text.mask[:, 0])[0][:, len(self.before) :], text.mask)

    def _some(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        text, image = given["text"], given["image"]
        present = torch.stack([t.mask.any(dim=1) for t in (text, image)])
        seen = self._seen(image) if bool(present[1].any()) else None
        x, taken = self._read(text, seen, present[1])
        if self.match is not None:
            return torch.where(present.all(dim=0)[:, None], self.match(x[:, 0]), 0.0), x[:, 0]
        return torch.where(present.any(dim=0)[:, None], self._likelihoods(x, taken), 0.0), x[:, 0]

    def _read(
        self, text: Tokens, seen: tuple[Tensor, Segments, Tensor] | None, pictured: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the text encoder's states, and which pieces are there; rows without a picture read none."""
        x, taken = framed(*packed(text), self.before, self.after)
        first = torch.arange(taken.shape[1]) < len(self.before)
        taken = taken & (text.mask.any(dim=1)[:, None] | first)
        length = x.shape[1] - len(self.before) - len(self.after)
        words: Segments = (("text_start", len(self.before)), ("text", length), ("text_end", len(self.after)))
        x = self.text.embeddings(inputs_embeds=x.clone())
        for number, layer in enumerate(self.text.encoder.layer):
            with hearing("text tower", words, words, taken[:, None, None], number):
                x = attended(layer.attention, x, x, taken[:, None, None])
            if seen is not None:
                states, patches, there = seen
                with hearing("cross", words, patches, there, number):
                    x = torch.where(pictured[:, None, None], attended(layer.crossattention, x, states, there), x)
            x = layer.feed_forward_chunk(x)
        return x, taken

    def _seen(self, image: Tokens) -> tuple[Tensor, Segments, Tensor]:
        """Return the states of class token and patches, their axis, and which are there `[B, 1, 1, N + 1]`."""
        own = self.vision.embeddings
        first = own.class_embedding.expand(len(image.values), -1, -1)
        x = torch.cat([first, image.values], dim=1) + own.position_embedding
        there = torch.cat([image.mask.any(dim=1, keepdim=True), image.mask], dim=1)[:, None, None]
        axis: Segments = (("image_summary", 1), ("image", image.mask.shape[1]))
        with hearing("image tower", axis, axis, there):
            for layer in self.vision.encoder.layers:
                own = layer.self_attn
                mixed = own.qkv(layer.layer_norm1(x)).unflatten(-1, (3, own.num_heads, -1)).permute(2, 0, 3, 1, 4)
                x = x + own.projection(explicit_attention(mixed[0], mixed[1], mixed[2], there))
                x = x + layer.mlp(layer.layer_norm2(x))
        return self.vision.post_layernorm(x), axis, there

    def _likelihoods(self, question: Tensor, taken: Tensor) -> Tensor:
        """Return the mean log-likelihood per piece of each answer, `[B, C]`; an answer ends with its end piece."""
        assert self.decoder is not None
        found = []
        for answer in self.answers:  # few and short: each by itself, so that none is padded
            ids = torch.tensor(answer)
            x = self.decoder.bert.embeddings(input_ids=ids[None, :-1].expand(len(question), -1))
            before = torch.ones(len(ids) - 1, len(ids) - 1, dtype=torch.bool).tril()[None, None]
            for layer in self.decoder.bert.encoder.layer:
                x = attended(layer.attention, x, x, before)
                x = attended(layer.crossattention, x, question, taken[:, None, None])
                x = layer.feed_forward_chunk(x)
            told = self.decoder.cls(x).log_softmax(dim=-1)
            found.append(told.gather(2, ids[None, 1:, None].expand(len(question), -1, 1))[..., 0].mean(dim=1))
        return torch.stack(found, dim=1)


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a BLIP together."""
    vision, text = model.config.vision_config, model.config.text_config
    tokenizer = read_tokenizer(folder.path)
    table: nn.Embedding = model.text_encoder.embeddings.word_embeddings
    limit = int(text.max_position_embeddings)
    pieces = PieceEncoder(folder.source, tokenizer, table, limit, int(text.pad_token_id))
    patch = model.vision_model.embeddings.patch_embedding
    patches = PatchEncoder(
        folder.source,
        folder.preprocessing,
        *(int(vision.image_size), int(vision.patch_size), int(vision.hidden_size)),
        lambda pixels: patch(pixels).flatten(2).transpose(1, 2),
    )
    start, end = int(text.bos_token_id), int(text.sep_token_id)
    if not 0 <= min(start, end) <= max(start, end) < table.num_embeddings:
        raise ModelError(f"config.json of {folder.path.name} starts answers with pieces that are not in its vocabulary")
    own = [tokenizer.encode(label, add_special_tokens=False).ids for label in asked.labels]
    head = BlipHead({"text": pieces.spec, "image": patches.spec}, model, pieces, [[start, *ids, end] for ids in own])
    return Parts({"text": pieces, "image": patches}, head)


CLASSES = {"labels": "BlipForQuestionAnswering", "match": "BlipForImageTextRetrieval"}

family("blip")(Family(CLASSES, "cross-attention", build))
