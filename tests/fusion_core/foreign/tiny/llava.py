"""A tiny random LLaVA."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import keep, prompt_tokenizer


def llava(folder, side: int = 32, patch: int = 8):
    torch.manual_seed(5)
    tokenizer = prompt_tokenizer()
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**layers, image_size=side, patch_size=patch),
        text_config=transformers.LlamaConfig(
            **layers, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, pad_token_id=0,
            bos_token_id=1, eos_token_id=2, initializer_range=0.3,
        ),
        image_token_index=tokenizer.token_to_id("<image>"), vision_feature_layer=-2,
    )  # fmt: skip
    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}, "do_center_crop": True}
    return keep(transformers.LlavaForConditionalGeneration(config), folder, tokenizer, size)
