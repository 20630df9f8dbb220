"""One modality of a team's own model behind the interface of our encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fusion_core.encoders import EncoderSource
from fusion_core.errors import CallError
from fusion_core.fusion.head import TokenSpec
from fusion_core.own.protocol import OwnModel, Spans
from fusion_core.types import AxisKind, ModalityInputs, TokenAxis, Tokens

KINDS: dict[str, AxisKind] = {"text": "words", "image": "patches", "audio": "frames"}
BASELINES = {"text": "zeros", "image": "mean colour", "audio": "the clip's lowest value"}


class OwnEncoder:
    """Calls the team's `prepare` and `encode`; rows are grouped by length, so that theirs sees no padding."""

    def __init__(self, model: OwnModel, modality: str, source: EncoderSource, spec: TokenSpec) -> None:
        self.model, self.modality, self.source, self.spec = model, modality, source, spec
        self.baseline_name = BASELINES[modality]
        self.preprocessing: dict[str, Any] = {"by": source.name}

    def prepare(self, given: Sequence[Any]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Return values `[B, ...]` with their lengths as a mask; absent ones are zeros."""
        done = [None if one is None else self.model.prepare(self.modality, raw_of(self.modality, one)) for one in given]
        values = [None if one is None else one[0] for one in done]
        shape = next((v.shape for v in values if v is not None), torch.Size([1, self.spec.width]))
        varying = {"text": 0, "audio": len(shape) - 1}.get(self.modality)
        longest = 1 if varying is None else max([v.shape[varying] for v in values if v is not None] or [1])
        blank = list(shape)
        if varying is not None:
            blank[varying] = longest
        rows, mask = [], torch.zeros(len(values), longest, dtype=torch.bool)
        for number, value in enumerate(values):
            if value is None:
                rows.append(torch.zeros(blank))
                continue
            length = 1 if varying is None else value.shape[varying]
            mask[number, :length] = True
            rows.append(
                value.detach().float() if varying is None else _longer(value.detach().float(), varying, longest)
            )
        axes = tuple(
            None if d is None else axis_of(self.modality, one, d[1]) for one, d in zip(given, done, strict=True)
        )
        return ModalityInputs(torch.stack(rows), mask, axes), [()] * len(rows)

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Encode rows of one length together, `[B, T, D]`."""
        lengths = inputs.mask.sum(dim=1)
        found: dict[int, Tensor] = {}
        for length in lengths.unique().tolist():
            if length:
                rows = (lengths == length).nonzero()[:, 0]
                tokens = self.model.encode(self.modality, self._cut(inputs.values[rows], length))
                found.update(zip(rows.tolist(), tokens, strict=True))
        longest = max([len(t) for t in found.values()] or [1])
        blank = inputs.values.new_zeros(longest, self.spec.width)
        rows_ = [functional.pad(found[n], (0, 0, 0, longest - len(found[n]))) if n in found else blank
                 for n in range(len(lengths))]  # fmt: skip
        counts = torch.tensor([len(found[n]) if n in found else 0 for n in range(len(lengths))])
        return Tokens(torch.stack(rows_), torch.arange(longest) < counts[:, None])

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: zeros, the mean colour, or the clip's lowest value."""
        values = inputs.values
        if self.modality == "text":
            return torch.zeros_like(values)
        every = tuple(range(1, values.ndim))
        if self.modality == "audio":
            return values.amin(dim=every, keepdim=True).expand_as(values)
        return values.mean(dim=tuple(range(2, values.ndim)), keepdim=True).expand_as(values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which token each element of the first row belongs to; raises CallError where that is not known."""
        axis, values, length = inputs.axes[0], inputs.values[0], int(inputs.mask[0].sum())
        assert axis is not None
        count = len(axis.labels)
        if self.modality == "text":
            if length != count:
                raise CallError(f"text has {length} rows of values for {count} tokens, so the input seam cannot tell "
                                "which belongs to which; explain it at the fusion seam")  # fmt: skip
            return _spread(torch.arange(values.shape[0]), count)[:, None].expand(values.shape)
        if self.modality == "audio":
            place = torch.arange(values.shape[-1])
            return torch.where(place < length, place * count // length, -1).expand(values.shape)
        assert axis.grid is not None
        (rows, columns), (high, wide) = axis.grid, values.shape[-2:]
        cells = (torch.arange(high) * rows // high)[:, None] * columns + torch.arange(wide) * columns // wide
        return cells.expand(values.shape)

    def _cut(self, values: Tensor, length: int) -> Tensor:
        if self.modality == "text":
            return values[:, :length]
        return values[..., :length] if self.modality == "audio" else values


def raw_of(modality: str, decoded: Any) -> Any:
    """Return what a team's `prepare` is given of a decoded text, picture or clip."""
    return decoded if modality == "text" else decoded.pixels if modality == "image" else (decoded.samples, decoded.rate)


def axis_of(modality: str, decoded: Any, spans: Spans) -> TokenAxis:
    """Return the token axis that spans describe."""
    if modality == "image":
        rows, columns = (int(n) for n in spans)  # type: ignore[arg-type]
        height, width = decoded.pixels.shape[:2]
        return TokenAxis.cells(rows, columns, (0.0, 0.0, width, height))
    pairs = tuple((float(a), float(b)) for a, b in spans)  # type: ignore[misc]
    if modality == "text":
        return TokenAxis("words", tuple(decoded[int(a) : int(b)] for a, b in pairs), pairs)
    return TokenAxis("frames", tuple(f"{a:.2f}-{b:.2f} s" for a, b in pairs), pairs)


def _longer(value: Tensor, dimension: int, length: int) -> Tensor:
    missing = list(value.shape)
    missing[dimension] = length - value.shape[dimension]
    return torch.cat([value, value.new_zeros(missing)], dim=dimension)


def _spread(places: Tensor, count: int) -> Tensor:
    return torch.where(places < count, places, -1)
