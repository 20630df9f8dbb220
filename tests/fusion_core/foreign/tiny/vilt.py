"""A tiny random ViLT."""

from __future__ import annotations

import torch
import transformers

from tests.fusion_core.foreign.tiny.saving import bert_tokenizer, framed_by, keep


def vilt(folder, task: str = "labels"):
    torch.manual_seed(3)
    tokenizer = framed_by(bert_tokenizer(), "[CLS]", "[SEP]")
    answers = dict(enumerate(["red", "yes", "blue", "a photo of the cat", "no"]))
    config = transformers.ViltConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=40, id2label=answers, num_labels=5,
        label2id={name: n for n, name in answers.items()}, initializer_range=0.3,
    )  # fmt: skip
    kind = transformers.ViltForImageAndTextRetrieval if task == "match" else transformers.ViltForQuestionAnswering
    model = kind(config)
    for name in ("position_embeddings", "cls_token"):
        torch.nn.init.normal_(getattr(model.vilt.embeddings, name), std=0.3)
    return keep(model, folder, tokenizer, {"size": {"shortest_edge": 32}, "size_divisor": 8})
