"""A tiny random AltCLIP."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def altclip(folder, side: int = 32, patch: int = 8):
    torch.manual_seed(5)
    tokenizer = bert_tokenizer(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    tokenizer.model.unk_token = "<unk>"
    tokenizer = framed_by(tokenizer, "<s>", "</s>")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.AltCLIPConfig(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 16,
                              "project_dim": 12, "initializer_range": 0.3},
        vision_config=layers | {"image_size": side, "patch_size": patch, "initializer_range": 0.3}, projection_dim=8,
    )  # fmt: skip
    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}, "do_center_crop": True}
    model = transformers.AltCLIPModel(config)
    for weights in model.text_model.pre_LN.parameters():  # fresh, it changes nothing that a layer has normed already
        torch.nn.init.normal_(weights, 0.5, 0.5)
    return keep(model, folder, tokenizer, size)
