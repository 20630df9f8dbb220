"""Qwen2-Audio (Chu 2024): a Whisper-like tower's states, pooled by two, among the pieces of a Qwen2 decoder.

A record has one clip; several clips, and speech as the question itself (voice chat), are not read.
"""

from __future__ import annotations

from typing import Any

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.decoder import DecoderHead
from fusion_core.foreign.family import DECODER, Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.pieces import prompted_pieces
from fusion_core.foreign.prompt import Template, read_prompt, stop_pieces
from fusion_core.foreign.windows import WindowEncoder

#: The family's conversation: the clip on a line of its own before the text, where the processor numbers it.
TEMPLATE = Template(
    "audio",
    before="<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    opening="Audio 1: <|audio_bos|>",
    closing="<|audio_eos|>\n",
    after="<|im_end|>\n<|im_start|>assistant\n",
)


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a Qwen2-Audio together; raises ModelError for layers that read a window of the text."""
    own, name = model.model, folder.path.name
    layers = set(getattr(own.language_model.config, "layer_types", None) or ())
    if layers - {"full_attention"}:
        found = ", ".join(sorted(layers))
        raise ModelError(f"the language model of {name} has layers of {found}; full_attention is read")
    tokenizer = read_tokenizer(folder.path)
    prompt = read_prompt(TEMPLATE, tokenizer, asked)
    encoder = WindowEncoder(
        folder.source,
        folder.preprocessing,
        own.audio_tower,
        own.multi_modal_projector,
        int(model.config.text_config.hidden_size),
    )
    pieces = prompted_pieces(folder.source, tokenizer, own.language_model, prompt, encoder.tokens)
    specs = {"text": pieces.spec, "audio": encoder.spec}
    stops = stop_pieces(folder.settings("generation_config.json"), tokenizer, ("<|im_end|>",))
    head = DecoderHead(specs, own.language_model, model.lm_head, prompt, tokenizer, bool(asked.task), stops)
    return Parts({"text": pieces, "audio": encoder}, head)


CLASSES = {"labels": "Qwen2AudioForConditionalGeneration", "match": "Qwen2AudioForConditionalGeneration"}

#: Its class would make any model that is named there.
PARTS = {"text_config": ("qwen2",), "audio_config": ("qwen2_audio_encoder",)}

family("qwen2_audio")(Family(CLASSES, DECODER, build, parts=PARTS))
