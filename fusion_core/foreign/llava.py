"""LLaVA (Liu 2023): patches of a vision tower, through two linear maps, among the pieces of a Llama-like decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.decoder import DecoderHead
from fusion_core.foreign.family import DECODER, Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.pieces import prompted_pieces
from fusion_core.foreign.prompt import Template, read_prompt, stop_pieces

#: As LLaVA 1.5 was trained: the picture first, on a line of its own.
TEMPLATE = Template("image", before="USER: ", between="\n", after=" ASSISTANT:", answer=" ", mark="<image>")


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a LLaVA together; raises ModelError for a vision tower that does not give one token per patch."""
    own, vision = model.model, model.config.vision_config
    if folder.preprocessing.get("do_pad"):
        raise ModelError(f"preprocessor_config.json of {folder.path.name} pads pictures to a square; not read here")
    tokenizer = read_tokenizer(folder.path)
    prompt = read_prompt(TEMPLATE, tokenizer, asked)
    patches = (int(vision.image_size) // int(vision.patch_size)) ** 2

    def embed(pixels: Tensor) -> Tensor:
        found = torch.stack(own.get_image_features(pixel_values=pixels).pooler_output)
        if found.shape[1] != patches:
            raise ModelError(f"{folder.path.name} reads {found.shape[1]} tokens of a picture of {patches} patches")
        return found

    encoder = PatchEncoder(
        folder.source,
        folder.preprocessing,
        *(int(vision.image_size), int(vision.patch_size), int(model.config.text_config.hidden_size)),
        embed,
    )
    pieces = prompted_pieces(folder.source, tokenizer, own.language_model, prompt, patches)
    specs = {"text": pieces.spec, "image": encoder.spec}
    stops = stop_pieces(folder.settings("generation_config.json"), tokenizer, ("</s>",))
    head = DecoderHead(specs, own.language_model, model.lm_head, prompt, tokenizer, bool(asked.task), stops)
    return Parts({"text": pieces, "image": encoder}, head)


CLASSES = {"labels": "LlavaForConditionalGeneration", "match": "LlavaForConditionalGeneration"}

#: Its class would make any model that is named there. (Pixtral's tower reads pictures of any shape: it is not read.)
PARTS = {
    "text_config": ("llama", "mistral", "qwen2", "gemma", "phi", "phi3"),
    "vision_config": ("clip_vision_model", "siglip_vision_model"),
}

family("llava")(Family(CLASSES, DECODER, build, parts=PARTS))
