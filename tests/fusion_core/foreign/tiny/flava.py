"""A tiny random FLAVA."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def flava(folder, task: str = "labels", codebook: bool = False):
    torch.manual_seed(5)
    tokenizer = framed_by(bert_tokenizer(), "[CLS]", "[SEP]")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
              "initializer_range": 0.3}  # fmt: skip
    config = transformers.FlavaConfig(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 24,
                              "pad_token_id": 0},
        image_config=layers | {"image_size": 32, "patch_size": 8, "vocab_size": 20},
        multimodal_config=layers | {"num_hidden_layers": 1},
        image_codebook_config={"num_groups": 4, "num_blocks_per_group": 1, "hidden_size": 4, "vocab_size": 20},
        hidden_size=16, projection_dim=8, init_codebook=codebook, initializer_range=0.3,
    )  # fmt: skip
    model = transformers.FlavaForPreTraining(config)
    for weights in (
        *(model.flava.image_model.embeddings.cls_token, model.flava.image_model.embeddings.position_embeddings),
        model.flava.multimodal_model.cls_token,
    ):
        torch.nn.init.normal_(weights, std=0.3)
    size = {"height": 32, "width": 32}
    return keep(model, folder, tokenizer, {"size": size, "crop_size": size, "do_center_crop": True})
