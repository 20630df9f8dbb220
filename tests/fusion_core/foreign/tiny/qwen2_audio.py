"""A tiny random Qwen2-Audio."""

from __future__ import annotations

import json

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import keep, prompt_tokenizer

MARKS = ("<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")


def qwen2_audio(folder, language: dict | None = None, sound: dict | None = None, tower: dict | None = None):
    """Its window is 2 s, its tokens 80 ms."""
    torch.manual_seed(7)
    tokenizer = prompt_tokenizer(*MARKS)
    config = transformers.Qwen2AudioConfig(
        audio_config={"model_type": "qwen2_audio_encoder", "num_mel_bins": 16, "d_model": 16, "encoder_layers": 2,
                      "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "max_source_positions": 50,
                      "initializer_range": 0.3} | (tower or {}),
        text_config={"model_type": "qwen2", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
                     "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": tokenizer.get_vocab_size(),
                     "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
                     "initializer_range": 0.3} | (language or {}),
        audio_token_index=tokenizer.token_to_id("<|AUDIO|>"),
    )  # fmt: skip
    heard = {"feature_size": 16, "sampling_rate": 16_000, "hop_length": 320, "chunk_length": 2, "n_fft": 800,
             "padding_value": 0.0, "n_samples": 32_000, "nb_max_frames": 100}  # fmt: skip
    folder = keep(transformers.Qwen2AudioForConditionalGeneration(config), folder, tokenizer)
    (folder / "preprocessor_config.json").write_text(json.dumps(heard | (sound or {})))
    return folder
