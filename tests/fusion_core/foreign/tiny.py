"""Tiny random models of every family, made with the real classes and saved as a team would have them on disk."""

from __future__ import annotations

import json

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = (
    "a",
    "photo",
    "of",
    "the",
    "cat",
    "dog",
    "red",
    "blue",
    "square",
    "circle",
    "what",
    "colour",
    "play",
    "##ing",
    "s",
)
PIXELS = {
    "do_resize": True, "do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "resample": 3,
    "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
}  # fmt: skip


def bert_tokenizer(specials=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")) -> Tokenizer:
    vocabulary = {
        word: n
        for n, word in enumerate([*specials, *WORDS, *"abcdefghijklmnopqrstuvwxyz".replace("a", "").replace("s", "")])
    }
    vocabulary |= {f"##{c}": len(vocabulary) + n for n, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=specials[1]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def framed_by(tokenizer: Tokenizer, before: str, after: str) -> Tokenizer:
    template = f"{before} $A {after}".strip()
    named = [(name, tokenizer.token_to_id(name)) for name in (before, after) if name]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=named)
    return tokenizer


def keep(model, folder, tokenizer: Tokenizer, pixels: dict | None = None):
    """Save a model with its tokenizer and preprocessor."""
    folder.mkdir(exist_ok=True)
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    if pixels is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS | pixels))
    return folder


def clip(folder, side: int = 32, patch: int = 8):
    torch.manual_seed(0)
    tokenizer = framed_by(bert_tokenizer(("<pad>", "<unk>", "<start>", "<end>", "<mask>")), "<start>", "<end>")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 12,
                              "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0},
        vision_config=layers | {"image_size": side, "patch_size": patch}, projection_dim=8,
    )  # fmt: skip
    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}, "do_center_crop": True}
    return keep(transformers.CLIPModel(config), folder, tokenizer, size)


def siglip(folder, side: int = 32, patch: int = 8):
    torch.manual_seed(1)
    tokenizer = framed_by(bert_tokenizer(("<pad>", "<unk>", "<start>", "<end>", "<mask>")), "", "<end>")
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.SiglipConfig(
        text_config=layers | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 12,
                              "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0, "projection_size": 16},
        vision_config=layers | {"image_size": side, "patch_size": patch},
    )  # fmt: skip
    return keep(transformers.SiglipModel(config), folder, tokenizer, {"size": {"height": side, "width": side}})


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


#: Families whose tasks have classes of their own.
BY_TASK = {"vilt": vilt, "blip": blip}
FAMILIES = {"vilt": vilt, "blip": blip, "clip": clip, "siglip": siglip, "clap": clap}
#: Sample sets that are not scene_qa.
SETS = {"clap": "feedback"}
