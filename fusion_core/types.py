"""The values that flow from a record to a screen.

Letters in shapes: `B` batch, `T` tokens of a modality, `D` width, `C` classes, `H` heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:  # a screen may import these types without loading torch
    from torch import Tensor

MODALITIES = ("text", "image", "audio")

Seam = Literal["input", "fusion"]
AxisKind = Literal["words", "patches", "frames"]


@dataclass(frozen=True)
class Media:
    """An image or audio file: named by the SHA-256 of its bytes, held in memory or on disk (see `reading.media`)."""

    sha256: str
    name: str
    data: bytes | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Record:
    """One thing the model was asked about; any modality may be None."""

    id: str
    text: str | None = None
    image: Media | None = None
    audio: Media | None = None
    label: str | None = None
    timestamp: datetime | None = None  # naive UTC
    meta: Mapping[str, str | float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def present(self) -> tuple[str, ...]:
        """Return the modalities the record has, in the order of `MODALITIES`."""
        return tuple(m for m in MODALITIES if getattr(self, m) is not None)


@dataclass(frozen=True)
class Refusal:
    """A row that did not become a record, and why."""

    id: str
    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    """A row without an answer; `strategy` is None when the record itself could not be read."""

    id: str
    strategy: str | None
    code: str
    message: str


@dataclass(frozen=True)
class TokenAxis:
    """What each token of one modality is in the raw input.

    spans: `(start, end)` characters of words, `(x0, y0, x1, y1)` pixels of patches, `(start, end)` seconds of frames.
    grid: `(rows, columns)` of patches, row-major; None for words and frames.
    """

    kind: AxisKind
    labels: tuple[str, ...]
    spans: tuple[tuple[float, ...], ...]
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class ModalityInputs:
    """One modality's continuous input, before its encoder.

    values: word-piece embeddings `[B, P, d]`, pixels `[B, 3, S, S]` or log-mel `[B, 80, F]`.
    mask: valid positions along the values' own axis, `bool [B, P]`; all False where the modality is absent.
    groups: which word each piece belongs to, `[B, P]`, -1 for none (text only).
    """

    values: Tensor
    mask: Tensor
    axes: tuple[TokenAxis | None, ...]
    groups: Tensor | None = None

    @property
    def presence(self) -> Tensor:
        """Which records have this modality, `bool [B]`."""
        return self.mask.any(dim=1)


@dataclass(frozen=True)
class Inputs:
    """What the encoders read, per modality, and what preprocessing had to do to each record."""

    modalities: dict[str, ModalityInputs]
    notes: tuple[tuple[str, ...], ...]

    def axes(self, row: int) -> dict[str, TokenAxis]:
        """Return the token axes of the modalities that record `row` has."""
        found = {m: part.axes[row] for m, part in self.modalities.items()}
        return {m: axis for m, axis in found.items() if axis is not None}


@dataclass(frozen=True)
class Tokens:
    """Encoded tokens of one modality: `values [B, T, D]`, `mask bool [B, T]`; all False where it is absent."""

    values: Tensor
    mask: Tensor

    def rows(self, index: Tensor) -> Tokens:
        """Gather rows `[N]` into a new batch; -1 gives an absent row."""
        present = (index >= 0)[:, None]
        kept = index.clamp(min=0)
        # `where` of the values' own type, not a product: what stands in row 0 may be NaN.
        values = self.values[kept].masked_fill(~present[..., None], 0.0)
        return Tokens(values, self.mask[kept] & present)


@dataclass(frozen=True)
class Prediction:
    """A strategy's answer: `probabilities [C]` over `classes`, and the true `label` where it is known."""

    probabilities: np.ndarray
    classes: tuple[str, ...]
    label: str | None = None

    @property
    def finite(self) -> bool:
        """Whether every probability is a number."""
        return bool(np.isfinite(self.probabilities).all())

    @property
    def top(self) -> str:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """The probability of the most probable class."""
        return float(np.max(self.probabilities))

    @property
    def margin(self) -> float:
        """The most probable class's lead over the second, in probability."""
        second, first = np.sort(self.probabilities)[-2:]
        return float(first - second)

    @property
    def correct(self) -> bool | None:
        """Whether the answer is the label; None without a label."""
        return None if self.label is None else self.top == self.label


@dataclass(frozen=True)
class AttentionMap:
    """Attention of one site from query tokens to key tokens: `weights [H, T_q, T_k]`.

    A query's weights over all keys of its site and layer add up to 1 (keys may be split over several maps).
    `query` and `key` are modalities, or `cls` for a learned summary token.
    """

    site: str
    layer: int
    query: str
    key: str
    weights: np.ndarray
    kind: Literal["attention", "gate"] = "attention"


@dataclass(frozen=True)
class Attribution:
    """Signed scores per token, `scores[m] [T_m]`, that together explain one class's logit against a baseline.

    delta: completeness error, |sum(scores) - (f(x) - f(baseline))|; `error` is the same relative to the larger of
    |f(x) - f(baseline)| and 5 % of the logit range over the background. None where a method promises no sum.
    """

    method: str
    seam: Seam
    target: str
    scores: dict[str, np.ndarray]
    baseline: str
    delta: float | None = None
    error: float | None = None
    evaluations: int = 0


@dataclass(frozen=True)
class Reading:
    """What the model would say from some of the modalities: mean over donors."""

    top: str
    probability: float
    value: float


@dataclass(frozen=True)
class Ledger:
    """How much each modality moved the explained class, as exact Shapley values over the modalities present.

    Unit: logit of the class minus the mean logit. `interactions` are already inside `contributions`.
    `standard_errors` are over donors; None for an absent modality or a policy without donors.
    """

    target: str
    policy: str
    donors: int
    base: float
    full: float
    contributions: dict[str, float]
    standard_errors: dict[str, float | None]
    interactions: dict[str, float]
    three_way: float | None
    alone: dict[str, Reading]
    without: dict[str, Reading]
    unit: str = "logit minus mean logit"

    @property
    def residual(self) -> float:
        """By how much the contributions miss `full - base` (efficiency error)."""
        return abs(sum(self.contributions.values()) - (self.full - self.base))


@dataclass(frozen=True)
class Check:
    """One measured statement about an explanation, with the sentence that says what it means."""

    name: str
    value: float
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Cost:
    """What a trace took: forward passes (rows through the head) and seconds."""

    forwards: int
    seconds: float


@dataclass(frozen=True)
class Trace:
    """Everything known about one record under one strategy; numpy only.

    target: the class the checks speak of. ledgers: one per class. attributions: of the target, and of other classes
    where they were asked for.
    """

    record: Record
    strategy: str
    status: str
    target: str
    prediction: Prediction
    axes: dict[str, TokenAxis]
    attention: tuple[AttentionMap, ...]
    attributions: tuple[Attribution, ...]
    ledgers: dict[str, Ledger]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    cost: Cost

    @property
    def ledger(self) -> Ledger:
        """The ledger of the target class."""
        return self.ledgers[self.target]
