"""Tiny random Qwen2-VL and Qwen2.5-VL: cells of 8 pixels, 24 of a picture at most."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import keep, prompt_tokenizer

MARKS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|endoftext|>")
PIXELS = {"min_pixels": 4 * 64, "max_pixels": 24 * 64, "patch_size": 4, "merge_size": 2, "temporal_patch_size": 2}
CUT = {"patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2, "initializer_range": 0.3}


def qwen2_vl(folder):
    vision = {"depth": 2, "embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2, "num_heads": 2, **CUT}
    return _kept(folder, transformers.Qwen2VLConfig, transformers.Qwen2VLForConditionalGeneration, vision)


def qwen2_5_vl(folder):
    vision = {"depth": 2, "hidden_size": 16, "out_hidden_size": 32, "intermediate_size": 32, "num_heads": 2, **CUT}
    windows = {"window_size": 16, "fullatt_block_indexes": [1]}
    made = transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration
    return _kept(folder, *made, vision | windows)


def _kept(folder, config_class, model_class, vision):
    torch.manual_seed(6)
    tokenizer = prompt_tokenizer(*MARKS)
    tokenizer.post_processor = None
    # Two heads share each pair of keys and values, as in the published models.
    text = {
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 320,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 1, 1]},
        "bos_token_id": None, "eos_token_id": tokenizer.token_to_id("<|im_end|>"), "initializer_range": 0.3,
    }  # fmt: skip
    named = {
        "image_token_id": "<|image_pad|>", "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }  # fmt: skip
    ids = {key: tokenizer.token_to_id(mark) for key, mark in named.items()}
    model = model_class(config_class(text_config=text, vision_config=vision, video_token_id=3, **ids))
    return keep(model, folder, tokenizer, PIXELS)
