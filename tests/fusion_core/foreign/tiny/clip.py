"""A tiny random CLIP."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def clip(folder, side: int = 32, patch: int = 8):
    torch.manual_seed(0)
    tokenizer = framed_by(bert_tokenizer(("<pad>", "<unk>", "<start>", "<end>", "<mask>")), "<start>", "<end>")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 12,
                              "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0},
        vision_config=layers | {"image_size": side, "patch_size": patch}, projection_dim=8,
    )  # fmt: skip
    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}, "do_center_crop": True}
    return keep(transformers.CLIPModel(config), folder, tokenizer, size)
