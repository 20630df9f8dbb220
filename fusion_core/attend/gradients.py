"""One forward pass with its tape and one backward pass: how the explained logit changes with every attention weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from fusion_core.attention import Probe, Tape, capture
from fusion_core.model import FusedModel
from fusion_core.types import Tokens


def attention_gradients(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int
) -> tuple[Tape, tuple[Tensor, ...]]:
    """Return the tape of one record and per capture `d(centred logit of target)/dA`, `[B, H, T_q, T_k]`.

    Zeros for gates and for attention that feeds nothing. Nothing is accumulated on the model's weights, and what is
    returned holds no graph.
    """
    with torch.enable_grad(), capture(edit=_watched) as tape:
        logits = model.fuse(tokens, strategy)
        centred = (logits[:, target] - logits.mean(dim=1)).sum()
    watched = [c.weights for c in tape.captured if c.kind == "attention"]
    found = iter(torch.autograd.grad(centred, watched, allow_unused=True) if watched else ())
    gradients = [next(found) if c.kind == "attention" else None for c in tape.captured]
    captured = [replace(c, weights=c.weights.detach()) for c in tape.captured]
    return Tape(captured=captured), tuple(
        torch.zeros_like(c.weights) if g is None else g for c, g in zip(captured, gradients, strict=True)
    )


def _watched(probe: Probe, weights: Tensor, allowed: Tensor) -> Tensor:
    """Let gradients begin here where nothing before asked for them: heads and tokens are frozen."""
    if probe.kind != "attention" or weights.requires_grad:
        return weights
    return weights.detach().requires_grad_()
