"""CLAP (Wu 2023): a windowed audio transformer and a RoBERTa, compared by cosine. Attention is heard in text only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.foreign.clips import FLOOR, SLICE, SliceEncoder
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import framed, packed, unpacked
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens


class ClapAudio(nn.Module):
    """Slices to one vector. Its windows shift and merge over time and pitch: their attention is not drawn."""

    readout = ()
    cannot = "its windows shift and merge over time and pitch, so their attention is not drawn"

    def __init__(self, model: Any, slices: SliceEncoder) -> None:
        super().__init__()
        self.audio, self.projection = model.audio_model, model.audio_projection
        self.width = int(self.projection.linear2.out_features)
        self.depth = int(self.audio.audio_encoder.num_features)
        self.bands, self.window = slices.bands, slices.window
        self.repeats = slices.extractor.padding in ("repeat", "repeatpad")
        self.cut = int(slices.extractor.padding == "repeat")
        self.channels = 4 if model.config.audio_config.enable_fusion else 1

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, T, bands * 25]`; slices that are masked out leave the clip."""
        found = tokens.values.new_zeros(len(tokens.values), self.width)
        for rows, _, heard in self._heard(tokens):
            found = found.index_copy(0, rows, self.projection(heard.pooler_output))
        return found

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last feature map at the slices, `[B, T, D']`.

        The map has columns of its own width in time (32 in 10 s). A slice's state is the mean over pitch of the columns
        that it covers, each by the part it covers, over all times that a short clip is repeated.
        """
        found = tokens.values.new_zeros(*tokens.mask.shape, self.depth)
        for rows, count, heard in self._heard(tokens):
            columns = heard.last_hidden_state.mean(dim=2).transpose(1, 2)
            at = unpacked(self._cover(count, columns.shape[1]) @ columns, tokens.mask[rows])
            found = found.index_copy(0, rows, at)
        return found

    def _heard(self, tokens: Tokens) -> Iterator[tuple[Tensor, int, Any]]:
        """Run rows that have as many slices together; give the rows, that number, and what the tower returns."""
        values, mask = packed(tokens)
        counts = mask.sum(dim=1)
        for count in counts.unique().tolist():
            rows = (counts == count).nonzero()[:, 0]
            mel = values[rows, :count].unflatten(2, (self.bands, SLICE)).transpose(2, 3).flatten(1, 2)
            filled = mel.repeat(1, self._times(count), 1)[:, : self.window]
            short = self.window - filled.shape[1]
            if short == 1:  # a whole window ends with a frame that belongs to no slice
                filled, short = torch.cat([filled, filled[:, -1:]], dim=1), 0
            filled = nn.functional.pad(filled, (0, 0, 0, short), value=FLOOR)[:, None].expand(-1, self.channels, -1, -1)
            longer = torch.zeros(len(rows), 1, dtype=torch.bool)
            yield rows, count, self.audio(input_features=filled, is_longer=longer)

    def _times(self, count: int) -> int:
        # "repeatpad" repeats as often as there is room, "repeat" once more, and what is over is cut.
        return max(1, self.window // (count * SLICE) + self.cut) if self.repeats else 1

    def _cover(self, count: int, columns: int) -> Tensor:
        """Return how much of each slice lies in each column, `[count, columns]`; rows sum to 1."""
        starts = torch.arange(count * self._times(count)) * float(SLICE)
        edges = torch.arange(columns + 1) * (self.window / columns)
        ends = torch.minimum((starts + SLICE)[:, None], edges[1:])
        covered = (ends - torch.maximum(starts[:, None], edges[:-1])).clamp(min=0.0)
        summed = covered.unflatten(0, (-1, count)).sum(dim=0)
        return summed / summed.sum(dim=1, keepdim=True)


class ClapText(nn.Module):
    """Pieces to one vector: the pooled start piece of a bidirectional text tower, projected."""

    readout = ("text_start",)

    def __init__(self, model: Any, pieces: PieceEncoder) -> None:
        super().__init__()
        self.text, self.projection = model.text_model, model.text_projection
        self.width, self.depth = int(self.projection.linear2.out_features), int(self.projection.linear1.in_features)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        return self.projection(self._run(tokens).pooler_output)

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last states at the pieces, `[B, P, D]`."""
        return unpacked(self._run(tokens).last_hidden_state[:, len(self.before) :], tokens.mask)

    def _run(self, tokens: Tokens) -> Any:
        x, taken = framed(*packed(tokens), self.before, self.after)
        length = x.shape[1] - len(self.before) - len(self.after)
        axis = (("text_start", len(self.before)), ("text", length), ("text_end", len(self.after)))
        with hearing("text tower", axis, axis, taken[:, None, None]):
            return self.text(inputs_embeds=x, attention_mask=taken.long())


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a CLAP together."""
    text = model.config.text_config
    embedding = model.text_model.embeddings.word_embeddings
    limit = int(text.max_position_embeddings) - int(text.pad_token_id) - 1
    pieces = PieceEncoder(folder.source, read_tokenizer(folder.path), embedding, limit, int(text.pad_token_id))
    slices = SliceEncoder(folder.source, folder.preprocessing)
    towers = {"text": ClapText(model, pieces), "audio": ClapAudio(model, slices)}
    return late_parts({"text": pieces, "audio": slices}, towers, model.logit_scale_a.exp(), None, asked)


family("clap")(Family({"labels": "ClapModel", "match": "ClapModel"}, "late", build))
