"""Text for foreign models: one token per word piece, as the family's transformer reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fusion_core.encoders import EncoderSource
from fusion_core.encoders.text import MAX_CHARACTERS
from fusion_core.errors import ModelError
from fusion_core.foreign.prompt import Prompt
from fusion_core.fusion.head import TokenSpec
from fusion_core.types import ModalityInputs, TokenAxis, Tokens

#: Pieces of a text that a decoder is given at most: attention's cost grows with their square.
MAX_PROMPTED = 2_048


class PieceEncoder:
    """Word pieces as their embeddings, before any layer; special pieces around them are the head's.

    A word that the tokenizer splits is several tokens, for the transformer reads several. around: what stands directly
    before and behind the text, with which it is cut into pieces. space: what stands between the first of these and the
    text; where it is a piece of its own, that is a token of the text which shows none of its letters.
    """

    modality = "text"

    def __init__(
        self,
        source: EncoderSource,
        tokenizer: Tokenizer,
        embedding: nn.Embedding,
        limit: int,
        pad: int,
        around: tuple[str, str] = ("", ""),
        space: str = "",
    ) -> None:
        self.source, self.tokenizer, self.embedding = source, tokenizer, embedding
        self.around, self.space = around, space
        marks = tokenizer.encode("a")
        inner = [n for n, special in enumerate(marks.special_tokens_mask) if not special] or [len(marks.ids)]
        self.before, self.after = list(marks.ids[: inner[0]]), list(marks.ids[inner[-1] + 1 :])
        self.pad = pad
        padding = self.embed([pad])[0].detach().float().cpu()
        # From a padding row of zeros, where a root-mean-square norm has no slope, integrated sums do not add up.
        self.blank = padding if bool(padding.any()) else self._mean_piece()
        self.baseline_name = "padding pieces" if bool(padding.any()) else "mean pieces"
        self.spec = TokenSpec(int(embedding.weight.shape[1]), "words")
        self.read_at_most(limit - len(self.before) - len(self.after))

    def read_at_most(self, pieces: int) -> None:
        """Bound the pieces of a text, special ones left out."""
        self.limit = pieces
        self.preprocessing: dict[str, Any] = {"pieces": pieces}

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Return the embeddings of pieces, `[P, d]`."""
        return self.embedding(torch.tensor(list(ids), dtype=torch.long))

    def prepare(self, texts: Sequence[str | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Tokenise texts into piece embeddings `[B, P, d]`; each piece is a token of its own."""
        rows, axes, notes = [], [], []
        for text in texts:
            ids, axis, note = self._pieces(text) if text is not None else ([], None, ())
            rows.append(torch.tensor(ids, dtype=torch.long))
            axes.append(axis)
            notes.append(note)
        mask = pad_sequence([torch.ones(len(r), dtype=torch.bool) for r in rows], batch_first=True)
        if mask.shape[1] == 0:
            mask = mask.new_zeros(len(rows), 1)
        padded = torch.zeros(mask.shape, dtype=torch.long)
        for number, row in enumerate(rows):
            padded[number, : len(row)] = row
        values = torch.where(mask[..., None], self.embedding(padded), 0.0)
        groups = torch.where(mask, torch.arange(mask.shape[1]), -1)
        return ModalityInputs(values, mask, tuple(axes), groups), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Return the embeddings as tokens `[B, P, d]`."""
        return Tokens(inputs.values, inputs.mask)

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: every piece is the padding piece; the mean piece where that is zeros."""
        return torch.where(inputs.mask[..., None], self.blank.to(inputs.values), inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which piece every element of the first row's values `[P, d]` belongs to."""
        assert inputs.groups is not None
        return inputs.groups[0][:, None].expand(inputs.values.shape[1:])

    def _mean_piece(self) -> Tensor:
        """Return the mean of about a thousand pieces of all parts of the vocabulary, `[d]`."""
        count = self.embedding.num_embeddings
        return self.embed(range(0, count, max(1, count // 1_000))).mean(dim=0).detach().float().cpu()

    def _pieces(self, text: str) -> tuple[list[int], TokenAxis, tuple[str, ...]]:
        (lead, trail), space = self.around, self.space
        shown = text[:MAX_CHARACTERS]
        found = self.tokenizer.encode(lead + space + shown + trail, add_special_tokens=False)
        before = len(lead) + len(space)
        end_of_text = before + len(shown)
        if any(start < end_of_text < end for start, end in found.offsets):
            # A piece across the end ("." and a new line) has what the prompt says once more: cut without what follows.
            found = self.tokenizer.encode(lead + space + shown, add_special_tokens=False)
        spans = [(start - before, end - before) for start, end in found.offsets]
        # A piece of white space alone, or of no letter at all, is read like any other: it stays.
        first = -len(space) if space or not lead else 1
        kept = [n for n, (start, end) in enumerate(spans) if start < len(shown) and (end > 0 or start >= first)]
        spans = [_trimmed(shown, start, end) for start, end in spans]
        notes: tuple[str, ...] = ()
        if len(kept) > self.limit or len(text) > MAX_CHARACTERS:
            kept = kept[: self.limit]
            notes = (f"text cut to its first {spans[kept[-1]][1]:,} of {len(text):,} characters ({len(kept)} pieces)",)
        if not kept:  # nothing, or marks the tokenizer leaves out: one padding piece stands for the whole text
            return [self.pad], TokenAxis("words", (text,), ((0.0, float(len(text))),)), ()
        own = tuple((float(spans[n][0]), float(spans[n][1])) for n in kept)
        labels = tuple(text[spans[n][0] : spans[n][1]] for n in kept)
        return [found.ids[n] for n in kept], TokenAxis("words", labels, own), notes


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return what of a span lies inside the text, without the white space before it unless it is nothing else."""
    start, end = max(0, start), min(len(text), end)
    letters = next((n for n in range(start, end) if not text[n].isspace()), start)
    return letters, end


def prompted_pieces(
    source: EncoderSource, tokenizer: Tokenizer, language: Any, prompt: Prompt, others: int
) -> PieceEncoder:
    """Return the text encoder of a decoder: as many pieces as its positions leave beside `others`, 2,048 at most."""
    left = int(language.config.max_position_embeddings) - prompt.length - others
    if left < 1:
        raise ModelError(
            f"the prompt leaves no room for text in the {language.config.max_position_embeddings} positions"
        )
    table = language.get_input_embeddings()
    pad = language.config.pad_token_id
    pad = int(pad) if isinstance(pad, int) and 0 <= pad < table.num_embeddings else 0
    found = PieceEncoder(source, tokenizer, table, MAX_PROMPTED, pad, (prompt.lead, prompt.trail), prompt.space)
    found.read_at_most(min(left, MAX_PROMPTED))
    return found
