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
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.layers import normed_first
from fusion_core.foreign.matching import Fed, Readings, Written, room_for
from fusion_core.foreign.matching_head import MatchingHead
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.fusion.head import TokenSpec
from fusion_core.types import Tokens


class FlavaHead(MatchingHead):
    """`[summary; class and patches; start, pieces, label, end]` through the stream, each part from its own tower.

    The summary token, pooled, is read by the family's matching head.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], model: Any, readings: Readings) -> None:
        super().__init__(specs, readings)
        own = model.flava
        self.image, self.text, self.stream = own.image_model, own.text_model, own.multimodal_model
        self.from_image, self.from_text = own.image_to_mm_projection, own.text_to_mm_projection
        self.match = model.itm_head
        # What no answer reads; a directory may lack it.
        self.image.pooler = self.text.pooler = self.stream.pooler = self.image.embeddings.mask_token = None
        self.summary = bool(self.stream.use_cls_token)
        self.readout = ("cls",) if self.summary else ("image_summary",)

    def states_width(self, modality: str) -> int:
        """Return the width of a tower."""
        return int((self.image if modality == "image" else self.text).config.hidden_size)

    def last(self, modality: str, states: Tensor) -> Tensor:
        """Return a tower's last states after its last norm, which the stream does not read them with."""
        return (self.image if modality == "image" else self.text).layernorm(states)

    def read(self, written: Written, count: int) -> Fed:
        """Run text through its tower."""
        own = self.text.embeddings
        x = written.values + own.token_type_embeddings.weight[0] + own.position_embeddings(written.places)
        x, there = own.LayerNorm(x), written.taken[:, None, None]
        with hearing("text tower", written.axis, written.axis, there, readings=count):
            for layer in self.text.encoder.layer:
                x = normed_first(layer, x, there)
        return Fed(x[:, None], written.taken, written.axis)

    def seen(self, image: Tokens) -> Fed:
        """Run the class token and patches through the image tower."""
        own = self.image.embeddings
        first = own.cls_token.expand(len(image.values), -1, -1)
        x = torch.cat([first, image.values], dim=1) + own.position_embeddings
        taken = torch.cat([image.mask.any(dim=1, keepdim=True), image.mask], dim=1)
        axis: Segments = (("image_summary", 1), ("image", image.mask.shape[1]))
        with hearing("image tower", axis, axis, taken[:, None, None]):
            for layer in self.image.encoder.layer:
                x = normed_first(layer, x, taken[:, None, None])
        return Fed(x[:, None], taken, axis)

    def joined(self, text: Fed, image: Fed | None) -> tuple[Tensor, Tensor]:
        """Run both through the stream behind its summary token."""
        values, taken, axis = [self.from_text(text.states[:, 0])], [text.taken], text.axis
        if image is not None:
            values, taken = [self.from_image(image.states[:, 0]), *values], [image.taken, *taken]
            axis = (*image.axis, *axis)
        if self.summary:
            rows = len(text.taken)
            values, taken = [self.stream.cls_token.expand(rows, -1, -1), *values], [taken[0].new_ones(rows, 1), *taken]
            axis = (("cls", 1), *axis)
        x, there = torch.cat(values, dim=1), torch.cat(taken, dim=1)[:, None, None]
        with hearing("stream", axis, axis, there, readings=self.readings.count):
            for layer in self.stream.encoder.layer:
                x = normed_first(layer, x, there)
        x = self.stream.layernorm(x)
        return self.match(x), x[:, 0]


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
    settings = folder.preprocessing
    if isinstance(settings.get("size"), int):  # as published: both sides, and nothing is cropped of a picture
        settings = {**settings, "size": {"height": settings["size"], "width": settings["size"]}}
    patches = PatchEncoder(
        folder.source,
        settings,
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
