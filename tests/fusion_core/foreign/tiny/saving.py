"""What tiny models share: a word-piece tokenizer, and how a model is saved as a team would have it on disk."""

from __future__ import annotations

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

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


def prompt_tokenizer(*specials: str) -> Tokenizer:
    """Return a byte-level tokenizer as decoders have: no text is unknown, white space is a piece of its own letter."""
    names = ["<pad>", "<s>", "</s>", "<image>", *specials]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġ{word}" for word in ("red", "cat", "the")]
    vocabulary = {
        piece: n for n, piece in enumerate([*names, *alphabet, "re", "red", "th", "the", "ca", "cat", *words])
    }
    merges = [("r", "e"), ("re", "d"), ("t", "h"), ("th", "e"), ("c", "a"), ("ca", "t")]
    merges += [("Ġ", "red"), ("Ġ", "cat"), ("Ġ", "the")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(names)
    return framed_by(tokenizer, "<s>", "")
