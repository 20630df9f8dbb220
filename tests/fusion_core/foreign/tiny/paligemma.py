"""A tiny random PaliGemma, and PaliGemma 2 over Gemma 2."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import keep, prompt_tokenizer


def paligemma(folder, second: bool = False, **more):
    torch.manual_seed(5)
    tokenizer = prompt_tokenizer("<bos>", "<eos>")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    text = {
        **layers, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "pad_token_id": 0,
        "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 256, "initializer_range": 0.3,
        "bos_token_id": tokenizer.token_to_id("<bos>"), "eos_token_id": tokenizer.token_to_id("<eos>"),
    }  # fmt: skip
    caps = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 4}
    chosen = transformers.Gemma2Config(**text, **caps, **more) if second else transformers.GemmaConfig(**text)
    config = transformers.PaliGemmaConfig(
        vision_config=transformers.SiglipVisionConfig(
            **layers, num_attention_heads=2, image_size=32, patch_size=8, vision_use_head=False
        ),
        text_config=chosen, projection_dim=16, image_token_index=tokenizer.token_to_id("<image>"),
    )  # fmt: skip
    model = transformers.PaliGemmaForConditionalGeneration(config)
    return keep(model, folder, tokenizer, {"size": {"height": 32, "width": 32}})
