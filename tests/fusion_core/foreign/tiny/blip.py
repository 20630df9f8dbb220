"""A tiny random BLIP."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def blip(folder, task: str = "labels"):
    torch.manual_seed(4)
    tokenizer = framed_by(bert_tokenizer(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")), "[CLS]", "[SEP]")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BlipConfig(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "encoder_hidden_size": 16, "bos_token_id": 5,
                              "sep_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 40,
                              "initializer_range": 0.3},
        vision_config=layers | {"image_size": 32, "patch_size": 8, "initializer_range": 0.3},
        image_text_hidden_size=8,
    )  # fmt: skip
    kind = transformers.BlipForImageTextRetrieval if task == "match" else transformers.BlipForQuestionAnswering
    return keep(kind(config), folder, tokenizer, {"size": {"height": 32, "width": 32}})
