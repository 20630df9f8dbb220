"""FLAVA (Singh 2022): two towers whose states go through one multimodal stream, which says whether they belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.attention import Segments
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import ROWS, ForeignHead, fused_in_parts, read_alone
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.layers import normed_first
from fusion_core.foreign.matching import Readings, Written, room_for
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.types import Tokens


class FlavaHead(ForeignHead):
    """`[summary; class and patches; start, pieces, label, end]` through the stream, each part from its own tower.

    The summary token, pooled, is read by the family's matching head. A match: its two logits, 0 where one of the pair
    is absent. Labels: see `Readings`. fused: the summary token's last state, the mean over labels.
    """

    kernel = "explicit"

    def __init__(self, specs: Mapping[str, TokenSpec], model: Any, readings: Readings) -> None:
        super().__init__(specs)
        own = model.flava
        self.image, self.text, self.stream = own.image_model, own.text_model, own.multimodal_model
        self.from_image, self.from_text = own.image_to_mm_projection, own.text_to_mm_projection
        self.match, self.readings = model.itm_head, readings
        # What no answer reads; a directory may lack it.
        self.image.pooler = self.text.pooler = self.stream.pooler = self.image.embeddings.mask_token = None
        self.summary = bool(self.stream.use_cls_token)
        self.readout = ("cls",) if self.summary else ("image_summary",)
        self.bytes_per_element = ForeignHead.bytes_per_element * readings.count

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run rows through towers and stream, a few at a time when nobody differentiates."""
        return fused_in_parts(self._some, projected, max(1, ROWS // self.readings.count))

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the states of a modality's own tower after its last norm: the family's stream reads pairs only."""
        return read_alone(self._image_states if modality == "image" else self._text_states, tokens)

    def _image_states(self, image: Tokens) -> Tensor:
        return self.image.layernorm(self._seen(image)[0])[:, 1:]

    def _text_states(self, text: Tokens) -> Tensor:
        first = len(self.readings.before)
        x = self.text.layernorm(self._read(self.readings.plain(text), 1))
        return x[:, first : first + text.mask.shape[1]]

    def states_width(self, modality: str) -> int:
        """Return the width of a tower."""
        tower = self.image if modality == "image" else self.text
        return int(tower.config.hidden_size)

    def _some(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        written = self.readings.written(given["text"])
        words = self.from_text(self._read(written, self.readings.count))
        values, taken, axis = [words], [written.taken], written.axis
        if bool(given["image"].mask.any()):
            states, there, patches = self._seen(given["image"])
            values.insert(0, self.readings.each(self.from_image(states)))
            taken.insert(0, self.readings.each(there))
            axis = (*patches, *axis)
        if self.summary:
            values.insert(0, self.stream.cls_token.expand(len(words), -1, -1))
            taken.insert(0, torch.ones(len(words), 1, dtype=torch.bool))
            axis = (("cls", 1), *axis)
        x, there = torch.cat(values, dim=1), torch.cat(taken, dim=1)[:, None, None]
        with hearing("stream", axis, axis, there, readings=self.readings.count):
            for layer in self.stream.encoder.layer:
                x = normed_first(layer, x, there)
        x = self.stream.layernorm(x)
        return self.readings.logits(self.match(x), given), self.readings.mean(x[:, 0])

    def _read(self, written: Written, count: int) -> Tensor:
        """Return the text tower's states of readings before its last norm, which the stream does not have."""
        own = self.text.embeddings
        x = written.values + own.token_type_embeddings.weight[0] + own.position_embeddings(written.places)
        x, there = own.LayerNorm(x), written.taken[:, None, None]
        with hearing("text tower", written.axis, written.axis, there, readings=count):
            for layer in self.text.encoder.layer:
                x = normed_first(layer, x, there)
        return x

    def _seen(self, image: Tokens) -> tuple[Tensor, Tensor, Segments]:
        """Return the image tower's states of class token and patches, which are there, and their axis."""
        own = self.image.embeddings
        first = own.cls_token.expand(len(image.values), -1, -1)
        x = torch.cat([first, image.values], dim=1) + own.position_embeddings
        taken = torch.cat([image.mask.any(dim=1, keepdim=True), image.mask], dim=1)
        there = taken[:, None, None]
        axis: Segments = (("image_summary", 1), ("image", image.mask.shape[1]))
        with hearing("image tower", axis, axis, there):
            for layer in self.image.encoder.layer:
                x = normed_first(layer, x, there)
        return x, taken, axis


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a FLAVA together."""
    own, text = model.flava.image_model.embeddings.patch_embeddings, model.config.text_config
    (high, wide), (tall, broad) = own.image_size, own.patch_size
    if (high, tall) != (wide, broad):
        raise ModelError(f"config.json of {folder.path.name} has pictures or patches that are no squares")
    tokenizer = read_tokenizer(folder.path)
    table: nn.Embedding = model.flava.text_model.embeddings.word_embeddings
    limit, pad = int(text.max_position_embeddings), int(text.pad_token_id or 0)
    pieces = room_for(folder.source, tokenizer, table, limit, pad, asked.labels)
    patches = PatchEncoder(
        folder.source,
        folder.settings("preprocessor_config.json"),
        *(int(high), int(tall), int(model.config.image_config.hidden_size)),
        own,
    )
    head = FlavaHead({"text": pieces.spec, "image": patches.spec}, model, Readings(pieces, asked.labels))
    return Parts({"text": pieces, "image": patches}, head)


#: Trained beside the matching head, or for it: no answer reads them.
UNUSED = (
    *("mim_head.", "mlm_head.", "mmm_image_head.", "mmm_text_head.", "embeddings.mask_token"),
    *("flava.image_projection.", "flava.text_projection.", "flava.logit_scale"),
    *("image_model.pooler.", "text_model.pooler.", "multimodal_model.pooler."),
)

family("flava")(
    Family(
        {"labels": "FlavaForPreTraining", "match": "FlavaForPreTraining"},
        "early",
        build,
        {"init_codebook": False},
        UNUSED,
    )
)
