"""BridgeTower (Xu 2023): two towers, whose last layers feed cross-modal layers that read each other, over bridges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.attention import Segments
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.centred import CentredEncoder
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.hearing import explicit_attention, hearing
from fusion_core.foreign.layers import attended
from fusion_core.foreign.matching import Fed, Readings, Written, room_for
from fusion_core.foreign.matching_head import MatchingHead
from fusion_core.fusion.head import TokenSpec
from fusion_core.types import Tokens


class BridgeTowerHead(MatchingHead):
    """Patches and pieces through a tower each; from a tower's later layers bridges lead into the cross-modal layers.

    A cross-modal layer reads its own modality, then the other as it came into the layer; where the other is absent
    that is skipped. The first states of both, pooled, are read by the family's matching head.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], model: Any, readings: Readings) -> None:
        super().__init__(specs, readings)
        self.model, self.match = model.bridgetower, model.itm_score
        # What no answer reads; a directory may lack it.
        self.model.text_model.pooler = None
        self.text_layers = self.model.text_model.encoder.layer
        # The family runs as many layers of the image tower as the text tower has.
        self.image_layers = self.model.vision_model.visual.transformer.resblocks[: len(self.text_layers)]
        self.bridged = len(self.model.cross_modal_text_layers)
        self.readout = ("text_start", "image_summary")

    def states_width(self, modality: str) -> int:
        """Return the width of a tower."""
        tower = self.model.vision_model if modality == "image" else self.model.text_model
        return int(tower.config.hidden_size)

    def read(self, written: Written, count: int) -> Fed:
        """Run text through its tower: the states that bridges lead from."""
        own = self.model.text_model.embeddings
        x = written.values + own.token_type_embeddings.weight[0]
        x = own.LayerNorm(x + own.position_embeddings(written.places + own.padding_idx + 1))
        found, there = [], written.taken[:, None, None]
        with hearing("text tower", written.axis, written.axis, there, readings=count):
            for layer in self.text_layers:
                x = layer.feed_forward_chunk(attended(layer.attention, x, x, there))
                found.append(x)
        return Fed(torch.stack(found[-self.bridged :], dim=1), written.taken, written.axis)

    def seen(self, image: Tokens) -> Fed:
        """Run the class token and patches through the image tower: the states that bridges lead from."""
        own = self.model.vision_model.visual
        first = own.embeddings.class_embedding.expand(len(image.values), 1, -1)
        x = torch.cat([first, image.values], dim=1) + own.embeddings.position_embedding.weight
        taken = torch.cat([image.mask.any(dim=1, keepdim=True), image.mask], dim=1)
        axis: Segments = (("image_summary", 1), ("image", image.mask.shape[1]))
        x, found = own.ln_pre(x), []
        with hearing("image tower", axis, axis, taken[:, None, None]):
            for block in self.image_layers:
                x = _looked(block, x, taken[:, None, None])
                found.append(own.ln_post(x))
        return Fed(torch.stack(found[-self.bridged :], dim=1), taken, axis)

    def joined(self, text: Fed, image: Fed | None) -> tuple[Tensor, Tensor]:
        """Run both through the cross-modal layers; without a picture the text's alone, and zeros for the other."""
        fed = {"text": text} if image is None else {"text": text, "image": image}
        x: dict[str, Tensor] = {}
        for number in range(self.bridged):
            x = {m: self._bridged(m, number, fed[m].states[:, number], x.get(m)) for m in fed}
            x = {m: self._crossed(m, number, x, fed) for m in x}
        pooled = [self.model.cross_modal_text_pooler(x["text"])]
        pooled.append(self.model.cross_modal_image_pooler(x["image"]) if "image" in x else torch.zeros_like(pooled[0]))
        both = torch.cat(pooled, dim=1)
        return self.match(both), both

    def _bridged(self, modality: str, number: int, feed: Tensor, x: Tensor | None) -> Tensor:
        """Return what comes into a cross-modal layer: a tower's states, joined to what the layer before made."""
        own, kind = self.model, self.model.token_type_embeddings.weight[0 if modality == "text" else 1]
        feed = _at(getattr(own, f"cross_modal_{modality}_transform"), number)(feed) + kind
        if x is None:
            return getattr(own, f"cross_modal_{modality}_layernorm")(feed)
        return _at(getattr(own, f"cross_modal_{modality}_link_tower"), number - 1)(feed, x, None)

    def _crossed(self, modality: str, number: int, x: Mapping[str, Tensor], fed: Mapping[str, Fed]) -> Tensor:
        """Run one cross-modal layer of a modality: attention to itself, to the other, and its feed-forward half."""
        layer = getattr(self.model, f"cross_modal_{modality}_layers")[number]
        found = x[modality]
        for source, block in ((modality, layer.attention), *((o, layer.crossattention) for o in x if o != modality)):
            keys = fed[source].taken[:, None, None]
            with hearing("cross", fed[modality].axis, fed[source].axis, keys, number, self.readings.count):
                read = attended(block, found, found if source == modality else x[source], keys)
            found = torch.where(fed[source].taken.any(dim=1)[:, None, None], read, found)
        return layer.feed_forward_chunk(found)


def _looked(block: Any, x: Tensor, there: Tensor) -> Tensor:
    """One layer of the image tower: the norm before each half."""
    own = block.attn
    mixed = nn.functional.linear(block.ln_1(x), own.in_proj_weight, own.in_proj_bias)
    q, k, v = mixed.unflatten(-1, (3, own.num_heads, -1)).permute(2, 0, 3, 1, 4)
    x = x + own.out_proj(explicit_attention(q, k, v, there))
    inner = block.ln_2(x)
    for layer in block.mlp.values():
        inner = layer(inner)
    return x + inner


def _at(shared: nn.Module, number: int) -> nn.Module:
    """Return the module of a layer, which may be one that all layers share."""
    return shared[number] if isinstance(shared, nn.ModuleList) else shared


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a BridgeTower together."""
    own, vision, text = model.bridgetower, model.config.vision_config, model.config.text_config
    depths = len(own.text_model.encoder.layer), len(own.vision_model.visual.transformer.resblocks)
    if not 1 <= model.config.num_hidden_layers <= depths[0] <= depths[1]:
        raise ModelError(
            f"config.json of {folder.path.name} has {model.config.num_hidden_layers} cross-modal layers over "
            f"{depths[0]} of text and {depths[1]} of the picture; each of these may not be less than the one before"
        )
    tokenizer, table = read_tokenizer(folder.path), own.text_model.embeddings.word_embeddings
    pad = int(own.text_model.embeddings.padding_idx)
    limit = int(text.max_position_embeddings) - pad - 1  # positions count from behind the padding piece's
    pieces = room_for(folder.source, tokenizer, table, limit, pad, asked.labels)
    patch = own.vision_model.visual.embeddings.patch_embedding
    patches = CentredEncoder(
        folder.source,
        folder.preprocessing,
        *(int(vision.image_size), int(vision.patch_size), int(vision.hidden_size)),
        lambda pixels: patch(pixels).flatten(2).transpose(1, 2),
    )
    head = BridgeTowerHead({"text": pieces.spec, "image": patches.spec}, model, Readings(pieces, asked.labels))
    return Parts({"text": pieces, "image": patches}, head)


CLASSES = {"labels": "BridgeTowerForImageAndTextRetrieval", "match": "BridgeTowerForImageAndTextRetrieval"}

family("bridgetower")(Family(CLASSES, "cross-attention", build, unused=("text_model.pooler.",)))
