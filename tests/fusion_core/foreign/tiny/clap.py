"""A tiny random CLAP."""

from __future__ import annotations

import json

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def clap(folder, fused: bool = False):
    torch.manual_seed(2)
    names = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    tokenizer = bert_tokenizer(names)
    tokenizer.model.unk_token = "<unk>"
    tokenizer = framed_by(tokenizer, "<s>", "</s>")
    config = transformers.ClapConfig(
        text_config={"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                     "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 32, "pad_token_id": 1,
                     "type_vocab_size": 1, "projection_dim": 8},
        audio_config={"patch_embeds_hidden_size": 8, "depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 16,
                      "spec_size": 256, "num_mel_bins": 64, "patch_size": 8, "patch_stride": [8, 8], "window_size": 4,
                      "projection_dim": 8, "enable_fusion": fused},
        projection_dim=8,
    )  # fmt: skip
    sound = {"feature_size": 64, "sampling_rate": 16_000, "hop_length": 160, "max_length_s": 10, "fft_window_size": 400,
             "frequency_max": 8_000, "padding": "repeatpad",
             "truncation": "fusion" if fused else "rand_trunc"}  # fmt: skip
    folder = keep(transformers.ClapModel(config), folder, tokenizer)
    (folder / "preprocessor_config.json").write_text(json.dumps(sound))
    return folder
