"""Which attention heads matter to a class: a guess from one backward pass, and the proof by taking each one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fusion_core.attend.gradients import attention_gradients
from fusion_core.attend.joint import joint
from fusion_core.attention import Edit, Probe, Tape, capture
from fusion_core.model import FusedModel
from fusion_core.ranks import rank_agreement
from fusion_core.types import AttentionHead, Check, Tokens

AGREEMENT = 0.5
#: Attention weights that rows tried together may have: 200 MB of them.
AT_ONCE = 50_000_000
Place = tuple[int, int]  # position of a capture on its tape, number of the head


def head_importance(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int
) -> tuple[AttentionHead, ...]:
    """Guess what each head is worth to the target's centred logit: `|sum <O_h, dL/dO_h>|` of one record, in tape order.

    Taken from the weights: `O_h = A_h V_h` and `dL/dA_h = dL/dO_h V_h^T`, so `<A_h, dL/dA_h> = <O_h, dL/dO_h>`. Heads
    between modalities of which one is absent are left out. One forward and one backward pass; `()` without attention.
    """
    tape, gradients = attention_gradients(model, tokens, strategy, target)
    return tuple(_described(tape, gradients, place) for place in _live_heads(tape))


def tried_heads(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int
) -> tuple[tuple[AttentionHead, ...], Check | None]:
    """Guess and try: heads with both figures, and whether the guess ranks them as trying does (Spearman >= .5).

    Only then may importance rank heads. The check is None where fewer than three heads can be ranked.
    """
    guessed = head_importance(model, tokens, strategy, target)
    moved = ablated_heads(model, tokens, strategy, target)
    heads = tuple(replace(head, ablated=float(m)) for head, m in zip(guessed, moved, strict=True))
    agreement = rank_agreement([h.importance for h in heads], moved)
    if agreement is None:
        return heads, None
    passed = agreement >= AGREEMENT
    verdict = "ranks heads as taking each one out does" if passed else "does not rank heads as taking them out does"
    sentence = f"head importance {verdict} (Spearman {agreement:.2f} over {len(heads)} heads)"
    return heads, Check("head_importance", agreement, passed, sentence)


def ablated_heads(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int) -> np.ndarray:
    """Return by how much the target's centred logit moves, absolute, when one head's output is zero, `[heads]`.

    In the order of `head_importance`. As many heads go through as one batch as their weights are allowed to take:
    row r without head r, the last row whole.
    """
    with torch.no_grad(), capture() as tape:
        model.fuse(tokens, strategy)
    places = _live_heads(tape)
    rows = max(1, AT_ONCE // max(1, sum(c.weights.numel() for c in tape.captured)))
    moved = [_moved(model, tokens, strategy, target, places[n : n + rows]) for n in range(0, len(places), rows)]
    return np.concatenate([np.zeros(0), *moved])


def _moved(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int, places: Sequence[Place]
) -> np.ndarray:
    rows = torch.zeros(len(places) + 1, dtype=torch.long)
    batch = {m: t.rows(rows) for m, t in tokens.items()}
    with torch.no_grad(), capture() as cut:
        cut.edit = _without(cut, places)
        logits = model.fuse(batch, strategy)
    centred = (logits[:, target] - logits.mean(dim=1)).double().numpy()
    return np.abs(centred[:-1] - centred[-1])


def _live_heads(tape: Tape) -> list[Place]:
    axis = joint(tape)
    live = sorted(number for step in axis.steps for number in step) if axis else []
    return [(number, head) for number in live for head in range(tape.captured[number].weights.shape[1])]


def _described(tape: Tape, gradients: Sequence[Tensor], place: Place) -> AttentionHead:
    number, head = place
    captured = tape.captured[number]
    worth = (captured.weights[0, head] * gradients[number][0, head]).double().sum()
    return AttentionHead(
        site=captured.site,
        layer=captured.layer,
        query=tuple(name for name, _ in captured.query),
        key=tuple(name for name, _ in captured.key),
        number=head,
        importance=abs(float(worth)),
    )


def _without(tape: Tape, places: Sequence[Place]) -> Edit:
    """Return an edit that zeroes head `places[r]` in row r; captures are told apart by how many the tape has heard."""

    def edit(probe: Probe, weights: Tensor, allowed: Tensor) -> Tensor:
        cut = [(row, head) for row, (number, head) in enumerate(places) if number == len(tape.captured)]
        if not cut:
            return weights
        kept = weights.clone()
        rows, heads = zip(*cut, strict=True)
        kept[list(rows), list(heads)] = 0.0
        return kept

    return edit
