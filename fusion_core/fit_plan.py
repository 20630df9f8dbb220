"""What to fit and how far a fit is: the types that a screen and the command line share with `fitting`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fusion_core.encoders import EncoderSource
from fusion_core.model import Fitted, FusedModel
from fusion_core.reading.records import RecordSet
from fusion_core.types import Refusal

Stage = Literal["encode", "train", "save"]


@dataclass(frozen=True)
class Teacher:
    """A model whose own answers are learned: probabilities `[C]` over `classes` by record id."""

    name: str
    classes: tuple[str, ...]
    probabilities: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class FitPlan:
    """Labelled records, strategies, encoders and budget of one fit.

    validation: None holds out every fifth record of each class. strategies: empty for all that the encoders can feed.
    sources: the encoder per modality; one not named has its default, None leaves the modality out. minutes: budget of
    training, all strategies together. cache: folder of cached tokens. teacher: its answers are learned instead of
    labels. labels: corrected labels by record id; None leaves the record out. model: a foreign model whose encoders are
    used instead of `sources`, all of them.
    """

    name: str
    records: RecordSet
    validation: RecordSet | None = None
    strategies: tuple[str, ...] = ()
    sources: Mapping[str, EncoderSource | None] = field(default_factory=dict)
    seed: int = 0
    minutes: float | None = None
    cache: Path | None = None
    teacher: Teacher | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    model: Path | None = None


@dataclass(frozen=True)
class Pass:
    """One pass over the training records: validation loss and accuracy, agreement with the teacher when distilling."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class FitStep:
    """How far a fit is.

    done, of: records encoded, or passes trained of this strategy. seconds_left: of the whole fit, None while unknown.
    curves: the passes so far by strategy. fitted: strategies that are done.
    """

    stage: Stage
    strategy: str | None
    done: int
    of: int
    seconds_left: float | None
    curves: Mapping[str, tuple[Pass, ...]] = field(default_factory=dict)
    fitted: Mapping[str, Fitted] = field(default_factory=dict)


@dataclass(frozen=True)
class FitOutcome:
    """A fitted and saved model. stopped: cancelled or out of budget, with what was done kept.

    notes: what could not be done, in sentences, such as reference statistics from too few records.
    """

    model: FusedModel
    out: Path
    refused: tuple[Refusal, ...]
    stopped: bool
    notes: tuple[str, ...] = ()
