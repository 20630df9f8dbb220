"""A tiny random BridgeTower: towers of three layers, the last two of which are bridged."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def bridgetower(folder, task: str = "labels", shared: bool = True):
    torch.manual_seed(6)
    tokenizer = framed_by(bert_tokenizer(("<s>", "<pad>", "</s>", "[UNK]", "[MASK]")), "<s>", "</s>")
    tokenizer.model.unk_token = "[UNK]"
    config = transformers.BridgeTowerConfig(
        text_config={"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
                     "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 26},
        vision_config={"hidden_size": 64, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8},
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, initializer_factor=3.0,
        share_cross_modal_transformer_layers=shared, link_tower_type="add" if shared else "interpolate",
    )  # fmt: skip
    settings = {"size": {"shortest_edge": 32}, "crop_size": {"shortest_edge": 32}, "size_divisor": 8}
    model = transformers.BridgeTowerForImageAndTextRetrieval(config)
    return keep(model, folder, tokenizer, settings | {"do_center_crop": True})
