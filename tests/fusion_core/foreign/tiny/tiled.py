"""Tiny random SmolVLM and Idefics3: tiles of 16 px, four cells each, of pictures whose longer side is 32 px."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import keep, prompt_tokenizer

MARKS = ("<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
ROWS = tuple(f"<row_{r}_col_{c}>" for r in (1, 2) for c in (1, 2))


def smolvlm(folder, **pixels):
    vision = transformers.SmolVLMVisionConfig(**_layers(), image_size=16, patch_size=4)
    return _kept(folder, transformers.SmolVLMConfig, transformers.SmolVLMForConditionalGeneration, vision,
                 "<|im_start|>", pixels)  # fmt: skip


def idefics3(folder, start="<|begin_of_text|>", **pixels):
    vision = transformers.Idefics3VisionConfig(**_layers(), image_size=16, patch_size=4)
    return _kept(folder, transformers.Idefics3Config, transformers.Idefics3ForConditionalGeneration, vision,
                 start, pixels)  # fmt: skip


def _layers():
    return {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


def _kept(folder, config_class, model_class, vision, start, pixels):
    torch.manual_seed(5)
    tokenizer = prompt_tokenizer(*MARKS, *ROWS, start)
    tokenizer.add_tokens(["\n\n"])  # as the real ones have it: two new lines are one piece
    # Two heads of keys and values for four of queries, as these families share them.
    text = transformers.LlamaConfig(
        **_layers(), num_key_value_heads=2, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=256,
        pad_token_id=0, bos_token_id=1, eos_token_id=tokenizer.token_to_id("<end_of_utterance>"),
        initializer_range=0.3,
    )  # fmt: skip
    config = config_class(
        vision_config=vision, text_config=text, scale_factor=2, image_token_id=tokenizer.token_to_id("<image>")
    )
    size = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 16}, "resample": 1}
    model = model_class(config)
    return keep(model, folder, tokenizer, size | pixels)
