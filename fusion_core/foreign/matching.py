"""Labels asked of a family that only matches: each is read behind the record's text, and its match is its logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from fusion_core.attention import Segments
from fusion_core.encoders import EncoderSource
from fusion_core.errors import CallError
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens

#: Every label is a reading of its own through the whole model, and all readings of a record go through together.
MOST_LABELS = 32


@dataclass(frozen=True)
class Written:
    """Texts as a stream reads them, `values [R, T, d]`, one reading of a record after the other.

    taken: which pieces are there, `bool [R, T]`. places: their positions, holes closed, `[R, T]`. axis: what T is.
    """

    values: Tensor
    taken: Tensor
    places: Tensor
    axis: Segments


@dataclass(frozen=True)
class Fed:
    """What a tower feeds on: states `[R, L, T, D]` of L of its layers, which are there `bool [R, T]`, and what T is."""

    states: Tensor
    taken: Tensor
    axis: Segments

    def rows(self, index: Tensor) -> Fed:
        """Gather rows `[N]` into a new batch."""
        return Fed(self.states[index], self.taken[index], self.axis)


class Readings(nn.Module):
    """A record's text as it is read: `[start; pieces; label; end]` once for each label, or once without labels.

    Behind text a label begins with a blank, as it would in a sentence; alone it does not: byte-level pieces differ.
    count: readings per record.
    """

    def __init__(self, pieces: PieceEncoder, labels: Sequence[str]) -> None:
        super().__init__()
        self.asked, self.count = bool(labels), max(1, len(labels))
        self.before, self.after = (
            nn.Buffer(pieces.embed(ids), persistent=False) for ids in (pieces.before, pieces.after)
        )
        alone, behind = (label_pieces(pieces.tokenizer, labels, blank) for blank in ("", " "))
        rows = [torch.tensor(ids, dtype=torch.long) for ids in (*alone, *behind)] or [torch.zeros(0).long()] * 2
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pieces.pad)
        lengths = torch.tensor([len(row) for row in rows])
        embedded, there = pieces.embedding(padded), torch.arange(padded.shape[1]) < lengths[:, None]
        # [2, C, S, ...]: alone, and behind text.
        self.label, self.there = (
            nn.Buffer(x.unflatten(0, (2, self.count)), persistent=False) for x in (embedded, there)
        )

    def written(self, text: Tokens) -> Written:
        """Return the readings of `text [B, P, d]`, `R = B * count`; without labels absent text is nothing at all."""
        present = text.mask.any(dim=1)
        label, there = (x[present.long()].flatten(0, 1) for x in (self.label, self.there))
        repeated = Tokens(self.each(text.values), self.each(text.mask))
        return self._around(repeated, label, there, self.each(present | self.asked))

    def plain(self, text: Tokens) -> Written:
        """Return `text [B, P, d]` read once, without a label; absent text is nothing at all."""
        rows = len(text.mask)
        none = (text.values.new_zeros(rows, 0, text.values.shape[2]), text.mask.new_zeros(rows, 0))
        return self._around(text, *none, text.mask.any(dim=1))

    def _around(self, text: Tokens, label: Tensor, there: Tensor, around: Tensor) -> Written:
        """Put pieces in order; around: whether the special pieces are there `[R]`."""
        own = torch.where(text.mask[..., None], text.values, 0.0)
        before, after = (x.expand(len(own), -1, -1) for x in (self.before, self.after))
        values = torch.cat([before, own, label, after], dim=1)
        start, end = (around[:, None].expand(-1, x.shape[1]) for x in (before, after))
        taken = torch.cat([start, text.mask, there, end], dim=1)
        axis: Segments = (
            *(("text_start", before.shape[1]), ("text", own.shape[1])),
            *(("text_label", label.shape[1]), ("text_end", after.shape[1])),
        )
        return Written(values, taken, (taken.cumsum(dim=1) - 1).clamp(min=0), tuple(part for part in axis if part[1]))

    def each(self, x: Tensor) -> Tensor:
        """Return `x [B, ...]` once for each reading, `[R, ...]`."""
        return x.repeat_interleave(self.count, dim=0)

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean over a record's readings of `x [R, F]`, `[B, F]`."""
        return x.unflatten(0, (-1, self.count)).mean(dim=1)

    def logits(self, pair: Tensor, text: Tensor, image: Tensor) -> Tensor:
        """Return the answer `[B, C]` from `[no match, match]` of each reading, `[R, 2]`; which are present `[B]`.

        Labels: the log-odds of each one's match; 0 for all without a picture, which leaves nothing to match. A match:
        the pair itself, 0 for both where text or image is absent.
        """
        if not self.asked:
            return torch.where((text & image)[:, None], pair, 0.0)
        return torch.where(image[:, None], (pair[:, 1] - pair[:, 0]).unflatten(0, (-1, self.count)), 0.0)


def label_pieces(tokenizer: Tokenizer, labels: Sequence[str], blank: str) -> list[list[int]]:
    """Return the pieces of each label; raises CallError for one that has none."""
    found = [tokenizer.encode(blank + label, add_special_tokens=False).ids for label in labels]
    for label, ids in zip(labels, found, strict=True):
        if not ids:
            raise CallError(f"the label {label!r} has no word pieces in this model's vocabulary")
    return found


def room_for(
    source: EncoderSource, tokenizer: Tokenizer, embedding: nn.Embedding, limit: int, pad: int, labels: Sequence[str]
) -> PieceEncoder:
    """Return the text encoder of a model of `limit` positions that leaves room for the longest label behind the text.

    Raises CallError for more labels than are read, or one that leaves no room for text.
    """
    if len(labels) > MOST_LABELS:
        raise CallError(
            f"--labels names {len(labels):,} labels; this family reads the picture with each of them, so at most "
            f"{MOST_LABELS} are allowed"
        )
    longest = max((len(ids) for blank in ("", " ") for ids in label_pieces(tokenizer, labels, blank)), default=0)
    pieces = PieceEncoder(source, tokenizer, embedding, limit - longest, pad)
    if pieces.limit < 1:
        raise CallError(
            f"the longest label takes {longest} word pieces; the model reads {limit} with the record's text"
        )
    return pieces
