"""The two seams are two ways to pose a problem: on encoder tokens, or on what was written, seen and heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from fusion_core.attribute.problem import Problem
from fusion_core.model import FusedModel
from fusion_core.types import Inputs, Level, ModalityInputs, Tokens

#: Measured: a 30 s clip (240,000 elements) takes 180 MB a row through the audio encoder.
INPUT_BYTES = 800


def at_fusion(
    model: FusedModel,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: int,
    against: int | None = None,
    seed: int = 0,
) -> Problem:
    """Pose the problem on encoded tokens; the baseline of a modality is the background's mean token.

    A strategy that fuses low-level features is explained on those. against: a class whose logit is subtracted, else
    the mean logit is.
    """
    level = model.head(strategy).level
    present = tuple(m for m, t in tokens.items() if bool(t.mask.any()))

    def forward(*values: Tensor) -> Tensor:
        batch = values[0].shape[0]
        given = {m: _expand(t, batch) for m, t in tokens.items()}
        given.update({m: given[m].put(level, v) for m, v in zip(present, values, strict=True)})
        return _explained(model.fuse(given, strategy), target, against)

    values = tuple(features.detach() for m in present if (features := tokens[m].at(level)) is not None)
    return Problem(
        seam="fusion",
        modalities=present,
        forward=forward,
        values=values,
        baselines=tuple(
            model.background.mean_token(m, level).expand_as(v).clone() for m, v in zip(present, values, strict=True)
        ),
        baseline_name=f"mean {'token' if level == 'tokens' else 'low-level features'} of the background",
        to_tokens={m: lambda scores: scores.sum(dim=-1) for m in present},
        cells={
            m: torch.arange(tokens[m].mask.shape[1])[:, None].expand(v.shape[1:])
            for m, v in zip(present, values, strict=True)
        },
        grids={m: model.stack.specs[m].grid for m in present},
        scale=model.logit_range(strategy),
        bytes_per_element=model.head(strategy).bytes_per_element,
        donors=tuple(
            _donors(model.background.tokens[m], level, v.shape[1]) for m, v in zip(present, values, strict=True)
        ),
        seed=seed,
    )


def at_input(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: int,
    explained: tuple[str, ...],
    against: int | None = None,
    seed: int = 0,
) -> Problem:
    """Pose the problem on encoder inputs of the `explained` modalities, the others held at what they are.

    Baselines: masked words for text, the picture's mean colour for image, the clip's floor for audio.
    """
    parts = {m: inputs.modalities[m] for m in explained}
    encoders = model.stack.encoders

    def forward(*values: Tensor) -> Tensor:
        batch = values[0].shape[0]
        given = {m: _expand(t, batch) for m, t in tokens.items()}
        for m, value in zip(explained, values, strict=True):
            given[m] = encoders[m].encode(_with_values(parts[m], value))
        return _explained(model.fuse(given, strategy), target, against)

    return Problem(
        seam="input",
        modalities=explained,
        forward=forward,
        values=tuple(parts[m].values.detach() for m in explained),
        baselines=tuple(encoders[m].baseline(parts[m]).detach().clone() for m in explained),
        baseline_name=", ".join(encoders[m].baseline_name for m in explained),
        to_tokens={m: _summed(encoders[m].token_of(parts[m]), _token_count(parts[m])) for m in explained},
        cells={m: encoders[m].token_of(parts[m]) for m in explained},
        grids={m: None if (axis := parts[m].axes[0]) is None else axis.grid for m in explained},
        scale=model.logit_range(strategy),
        bytes_per_element=_input_bytes(_each(model, strategy, explained), tokens, tuple(parts.values())),
        seed=seed,
    )


def _expand(tokens: Tokens, batch: int) -> Tokens:
    return tokens.shaped(lambda features: features.expand(batch, -1, -1), tokens.mask.expand(batch, -1))


def _with_values(part: ModalityInputs, values: Tensor) -> ModalityInputs:
    batch = values.shape[0]
    groups = None if part.groups is None else part.groups.expand(batch, -1)
    return ModalityInputs(values, part.mask.expand(batch, -1), part.axes * batch, groups)


def _each(model: FusedModel, strategy: str, explained: tuple[str, ...]) -> int:
    """Return what a token's element takes in the head, or in an encoder that is a whole transformer."""
    encoders = model.stack.encoders
    return max(
        model.head(strategy).bytes_per_element, *(getattr(encoders[m], "bytes_per_element", 0) for m in explained)
    )


def _input_bytes(each: int, tokens: Mapping[str, Tokens], parts: tuple[ModalityInputs, ...]) -> int:
    """Return what a row takes per element explained: the head reads the tokens of all, a decoder far more of them."""
    read, explained = (sum(given.values.numel() for given in all_of) for all_of in (tokens.values(), parts))
    return max(INPUT_BYTES, each, -(-each * read // max(1, explained)))


def _token_count(part: ModalityInputs) -> int:
    axis = part.axes[0]
    assert axis is not None
    return len(axis.labels)


def _summed(token_of: Tensor, count: int) -> Callable[[Tensor], Tensor]:
    """Return a function that adds element scores up by their token (-1: none)."""
    member = token_of.flatten()

    def total(scores: Tensor) -> Tensor:
        found = torch.zeros(count, dtype=scores.dtype)
        return found.index_add(0, member[member >= 0], scores.flatten()[member >= 0])

    return total


def _explained(logits: Tensor, target: int, against: int | None) -> Tensor:
    return logits[:, target] - (logits.mean(dim=1) if against is None else logits[:, against])


def _donors(tokens: Tokens, level: Level, length: int) -> Tensor:
    """Return background records' tokens on this record's axis, `[n, T, D]`: a shorter donor is repeated.

    Zeros stand for a donor without the modality.
    """
    features = tokens.at(level)
    assert features is not None
    rows = [row[mask] for row, mask in zip(features, tokens.mask, strict=True)]
    blank = features.new_zeros(length, features.shape[-1])
    return torch.stack([row[torch.arange(length) % len(row)] if len(row) else blank for row in rows])
