"""A tiny random SigLIP2 whose pictures keep their shape."""

from __future__ import annotations

import json

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def siglip2(folder, patches: int = 20, patch: int = 8):
    """Its config names the end piece as padding, as the family's default does; its tokenizer knows better."""
    torch.manual_seed(6)
    tokenizer = bert_tokenizer(("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"))
    tokenizer.model.unk_token, tokenizer.normalizer = "<unk>", None
    tokenizer = framed_by(tokenizer, "", "<eos>")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.Siglip2Config(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 12,
                              "projection_size": 16},
        vision_config=layers | {"patch_size": patch, "num_patches": 16},
    )  # fmt: skip
    pixels = {"resample": 2, "patch_size": patch, "max_num_patches": patches}
    folder = keep(transformers.Siglip2Model(config), folder, tokenizer, pixels)
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>", "eos_token": "<eos>"}))
    return folder
