"""Does attention matter here? Replace every attention by equal shares and see whether the answer moves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion_core.attention import capture, uniform
from fusion_core.model import FusedModel
from fusion_core.types import Check, Tokens

INERT = 0.01


def uniform_replacement(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, scale: float) -> Check:
    """Return by how much centred logits move at most, as a share of `scale` (their range over the background)."""
    with torch.no_grad():
        before = _centred(model.fuse(tokens, strategy))
        with capture(edit=uniform, keeps=False):
            after = _centred(model.fuse(tokens, strategy))
    moved = float((after - before).abs().max())
    share = moved / max(scale, 1e-12)
    same = bool((after.argmax(1) == before.argmax(1)).all())
    if share < INERT and same:
        sentence = f"attention here does not change this prediction (equal shares move the logits by {moved:.2f})"
    else:
        answer = "keep the answer" if same else "change the answer"
        sentence = f"equal shares instead of this attention move the logits by up to {moved:.2f} and {answer}"
    return Check("attention_matters", share, share >= INERT or not same, sentence)


def _centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(dim=1, keepdim=True)
