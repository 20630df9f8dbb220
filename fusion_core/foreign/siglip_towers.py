"""The two towers of SigLIP and SigLIP2: text read at its last position, a picture pooled by a learned query."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, normalizers
from torch import Tensor, nn

from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import framed, packed, unpacked
from fusion_core.foreign.hearing import heard_attention, hearing
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens


class SiglipPicture(nn.Module):
    """Patches to one vector: a learned query pools the vision tower.

    places: position embeddings `[N, D]` of a fixed grid; None where the tokens have theirs already.
    """

    readout = ("image_summary",)

    def __init__(self, model: Any, places: Tensor | None) -> None:
        super().__init__()
        self.vision, self.places = model.vision_model, places
        self.width = self.depth = int(model.config.vision_config.hidden_size)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, N, D]`; patches that are masked out are no keys, there and when pooled."""
        x, there = self._run(tokens), tokens.mask[:, None, None]
        pool = self.vision.head
        with hearing("image pooling", (("image_summary", 1),), (("image", tokens.mask.shape[1]),), there):
            x = pooled(pool, x, None if bool(there.all()) else there)
        return (x + pool.mlp(pool.layernorm(x)))[:, 0]

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last states at the patches `[B, N, D]`, after its final norm."""
        return torch.where(tokens.mask[..., None], self._run(tokens), 0.0)

    def _run(self, tokens: Tokens) -> Tensor:
        x = tokens.values if self.places is None else tokens.values + self.places
        there = tokens.mask[:, None, None]
        axis = (("image", tokens.mask.shape[1]),)
        with hearing("image tower", axis, axis, there):
            x = self.vision.encoder(
                inputs_embeds=x, attention_mask=None if bool(there.all()) else there
            ).last_hidden_state
        return self.vision.post_layernorm(x)


def pooled(pool: Any, x: Tensor, there: Tensor | None) -> Tensor:
    """Return what the learned query reads of `x [B, N, D]`, `[B, 1, D]`: its attention, written out to be heard."""
    own = pool.attention
    parts = zip(own.in_proj_weight.chunk(3), own.in_proj_bias.chunk(3), strict=True)
    (wq, bq), (wk, bk), (wv, bv) = parts
    asked = pool.probe.expand(len(x), -1, -1)
    q, k, v = (
        nn.functional.linear(given, weight, bias).unflatten(-1, (own.num_heads, -1)).transpose(1, 2)
        for given, weight, bias in ((asked, wq, bq), (x, wk, bk), (x, wv, bv))
    )
    return own.out_proj(heard_attention(pool, q, k, v, there, is_causal=False)[0].flatten(2))


class SiglipText(nn.Module):
    """Pieces to one vector: the last of `length` positions, padding to the right included, for so it was trained."""

    readout = ("text_end",)

    def __init__(self, model: Any, pieces: PieceEncoder, length: int) -> None:
        super().__init__()
        self.text, self.length = model.text_model, length
        self.width = int(self.text.head.out_features)
        self.depth = int(self.text.head.in_features)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)
        self.pad = pieces.embed([pieces.pad])[0]
        # The last position is one of its own: where a tokenizer closes no text, it is padding.
        pieces.read_at_most(min(pieces.limit, length - len(self.before) - 1))

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        return self.text.head(self._run(tokens)[:, -1])

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last states at the pieces `[B, P, D]`, after its final norm."""
        return unpacked(self._run(tokens)[:, len(self.before) :], tokens.mask)

    def _run(self, tokens: Tokens) -> Tensor:
        x, taken = framed(*packed(tokens), self.before, self.after)
        own = x.shape[1] - len(self.before) - len(self.after)
        x = torch.where(taken[..., None], x, self.pad)
        x = torch.cat([x, self.pad.expand(len(x), self.length - x.shape[1], -1)], dim=1)
        x = x + self.text.embeddings.position_embedding.weight[: self.length]
        between = self.length - len(self.before) - own - 1
        axis = (("text_start", len(self.before)), ("text", own), ("text_pad", between), ("text_end", 1))
        with hearing("text tower", axis, axis, torch.ones(len(x), 1, 1, self.length, dtype=torch.bool)):
            x = self.text.encoder(inputs_embeds=x, attention_mask=None, is_causal=False).last_hidden_state
        return self.text.final_layer_norm(x)


def lowered(tokenizer: Tokenizer) -> Tokenizer:
    """Make a tokenizer read text in lower case, before whatever it does to text itself."""
    return _normalised(tokenizer, [normalizers.Lowercase()])


def as_trained(folder: Folder, tokenizer: Tokenizer) -> Tokenizer:
    """Make a tokenizer read text as the models were trained, which a `tokenizer.json` need not do by itself.

    SigLIP: in lower case, without ASCII punctuation, white space as single blanks. SigLIP2, whose tokenizer is Gemma's:
    in lower case. Any other, by the name in `tokenizer_config.json`, is left as it is.
    """
    kind = str(folder.settings("tokenizer_config.json").get("tokenizer_class", ""))
    if kind.startswith(("Gemma", "Siglip2")):
        return lowered(tokenizer)
    if not kind.startswith("Siglip"):
        return tokenizer
    marks = normalizers.Replace(Regex(f"[{re.escape(string.punctuation)}]"), "")
    blanks = normalizers.Replace(Regex(r"\s+"), " ")
    return _normalised(tokenizer, [normalizers.Lowercase(), marks, blanks, normalizers.Strip()])


def _normalised(tokenizer: Tokenizer, first: Sequence[normalizers.Normalizer]) -> Tokenizer:
    own = tokenizer.normalizer
    tokenizer.normalizer = normalizers.Sequence([*first, *([] if own is None else [own])])
    return tokenizer


def padding_piece(folder: Folder, tokenizer: Tokenizer, otherwise: int) -> int:
    """Return the piece that text is padded with: the tokenizer's own, for the config's may be another's.

    otherwise: where no settings file names one that the tokenizer knows.
    """
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        named = folder.settings(name).get("pad_token")
        piece = named.get("content") if isinstance(named, dict) else named
        number = tokenizer.token_to_id(piece) if isinstance(piece, str) else None
        if number is not None:
            return number
    return otherwise
