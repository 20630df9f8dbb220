"""What an attribution method is given and what it gives back; the two seams are two ways to pose a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion_core.model import FusedModel
from fusion_core.registry import Registry
from fusion_core.types import Inputs, ModalityInputs, Tokens

Values = tuple[Tensor, ...]


#: Bytes that gradients of one batch may take. Measured: a 30 s clip (240,000 elements) takes 180 MB a row through
#: the audio encoder; the heads take less than 40 bytes per token element.
MEMORY_BUDGET = 1_500_000_000
INPUT_BYTES, FUSION_BYTES = 800, 40


@dataclass(frozen=True)
class Problem:
    """One record, one strategy, one class, at one seam.

    forward: values of the modalities in `modalities`, batch first, to centred logits of the class, `[B]`.
    values, baselines: one `[1, ...]` tensor each. to_tokens: per modality, element to token scores, `[...]` to `[T]`.
    scale: the largest range any class's centred logit has over the background, the yardstick of small differences.
    """

    modalities: tuple[str, ...]
    forward: Callable[..., Tensor]
    values: Values
    baselines: Values
    baseline_name: str
    to_tokens: Mapping[str, Callable[[Tensor], Tensor]]
    cells: Mapping[str, Tensor]
    scale: float
    bytes_per_element: int

    def batch(self, most: int) -> int:
        """Return how many rows may be differentiated at once within the memory budget, from 1 to `most`."""
        row = self.bytes_per_element * sum(v.numel() for v in self.values)
        return max(1, min(most, MEMORY_BUDGET // max(1, row)))


@dataclass(frozen=True)
class Scores:
    """Token scores `[T]` per modality, and the completeness error where the method promises a sum."""

    tokens: dict[str, Tensor]
    delta: float | None
    error: float | None
    evaluations: int


method: Registry[Callable[[Problem], Scores]] = Registry("attribution method")


def at_fusion(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int, scale: float) -> Problem:
    """Pose the problem on encoded tokens; the baseline of a modality is the background's mean token.

    A strategy that fuses low-level features is explained on those.
    """
    level = model.head(strategy).level
    present = tuple(m for m, t in tokens.items() if bool(t.mask.any()))

    def forward(*values: Tensor) -> Tensor:
        batch = values[0].shape[0]
        given = {m: _expand(t, batch) for m, t in tokens.items()}
        given.update({m: given[m].put(level, v) for m, v in zip(present, values, strict=True)})
        return _centred(model.fuse(given, strategy), target)

    values = tuple(features.detach() for m in present if (features := tokens[m].at(level)) is not None)
    return Problem(
        modalities=present,
        forward=forward,
        values=values,
        baselines=tuple(
            model.background.mean_token(m, level).expand_as(v).clone() for m, v in zip(present, values, strict=True)
        ),
        baseline_name="mean token of the background"
        if level == "tokens"
        else "mean low-level features of the background",
        to_tokens={m: lambda scores: scores.sum(dim=-1) for m in present},
        cells={
            m: torch.arange(tokens[m].mask.shape[1])[:, None].expand(v.shape[1:])
            for m, v in zip(present, values, strict=True)
        },
        scale=scale,
        bytes_per_element=FUSION_BYTES,
    )


def at_input(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: int,
    scale: float,
    explained: tuple[str, ...],
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
        return _centred(model.fuse(given, strategy), target)

    return Problem(
        modalities=explained,
        forward=forward,
        values=tuple(parts[m].values.detach() for m in explained),
        baselines=tuple(encoders[m].baseline(parts[m]).detach().clone() for m in explained),
        baseline_name=", ".join(encoders[m].baseline_name for m in explained),
        to_tokens={m: _summed(encoders[m].token_of(parts[m]), _token_count(parts[m])) for m in explained},
        cells={m: encoders[m].token_of(parts[m]) for m in explained},
        scale=scale,
        bytes_per_element=INPUT_BYTES,
    )


def _expand(tokens: Tokens, batch: int) -> Tokens:
    return tokens.each(lambda features: features.expand(batch, -1, -1), tokens.mask.expand(batch, -1))


def _with_values(part: ModalityInputs, values: Tensor) -> ModalityInputs:
    batch = values.shape[0]
    groups = None if part.groups is None else part.groups.expand(batch, -1)
    return ModalityInputs(values, part.mask.expand(batch, -1), part.axes * batch, groups)


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


def _centred(logits: Tensor, target: int) -> Tensor:
    return logits[:, target] - logits.mean(dim=1)
