"""What the rest of the code asks of an encoder of one modality, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from fusion_core.encoders.source import EncoderSource
from fusion_core.fusion.head import TokenSpec
from fusion_core.types import ModalityInputs, Tokens


class Encoder(Protocol):
    """Decoded texts, pictures or clips to inputs, and inputs to tokens. Letters: `B` records, `T` tokens, `D` width.

    source: where its weights came from. spec: what a head must know of its tokens. preprocessing: what `prepare` does,
    as it is written to `model.json`. baseline_name: what the uninformative input is called.
    """

    modality: str
    baseline_name: str
    source: EncoderSource
    spec: TokenSpec
    preprocessing: dict[str, Any]

    def prepare(self, given: Sequence[Any], /) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Return inputs `[B, ...]`, and what had to be done to each; None stands for an absent one."""
        ...

    def encode(self, inputs: ModalityInputs, /) -> Tokens:
        """Return tokens `[B, T, D]`, differentiable with respect to the inputs' values."""
        ...

    def baseline(self, inputs: ModalityInputs, /) -> Tensor:
        """Return the uninformative input, of the values' own shape."""
        ...

    def token_of(self, inputs: ModalityInputs, /) -> Tensor:
        """Return which token each element of the first row's values belongs to, -1 for none."""
        ...
