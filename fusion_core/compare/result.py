"""What a comparison of strategies found, part by part: every part may still be on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fusion_core.contribute.emap import Emap
from fusion_core.contribute.perceptual import PerceptualScore
from fusion_core.contribute.pid import Information

Needs = Literal["interaction", "independent", "undecided"]


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bin:
    """One of 15 bins of equal mass: mean confidence, share right with its Wilson interval, records."""

    confidence: float
    accuracy: float
    low: float
    high: float
    records: int


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error over 15 bins of equal mass, as answered and after one temperature.

    temperature: fitted on every second record; `scaled` is the error of the other half with it, `unscaled` that of the
    same half without: fewer records in a bin make the error of the half larger than that of all.
    """

    error: Measured
    temperature: float
    scaled: Measured
    bins: tuple[Bin, ...]
    unscaled: Measured | None = None


@dataclass(frozen=True)
class Quality:
    """How good a strategy's answers are on labelled records; intervals by bootstrap over records, nll in nats."""

    accuracy: Measured
    macro_f1: Measured
    nll: Measured
    calibration: Calibration
    records: int


@dataclass(frozen=True)
class Against:
    """A strategy beside the baseline on the same records.

    difference: accuracy less the baseline's, paired. p: exact McNemar. fixes, breaks: records that only this strategy,
    and only the baseline, answers rightly. failures: records the baseline answers wrongly.
    """

    baseline: str
    difference: Measured
    p: float
    fixes: int
    breaks: int
    failures: int


@dataclass(frozen=True)
class PatternQuality:
    """Accuracy and calibration error with only these modalities left (removal policy: missing).

    accuracy, calibration_error: None without labels. agreement: share that is answered as with all modalities.
    records: those that have one of these modalities.
    """

    present: tuple[str, ...]
    accuracy: Measured | None
    calibration_error: float | None
    records: int
    agreement: Measured | None = None


@dataclass(frozen=True)
class Curve:
    """Accuracy under one kind of fault over its severities, severity 0 being the same records without it.

    relative: mean height of the curve, the area under it by trapezoids over severities scaled to 0-1. effective: mean
    over severities of how much less it falls than `late` does (MultiBench, Liang 2021); None without `late`.
    graded: False where the harm is the same at every severity; it is then measured once, at the highest.
    """

    kind: str
    modality: str
    severities: tuple[int, ...]
    accuracy: tuple[Measured, ...]
    relative: float
    effective: float | None
    records: int
    graded: bool = True


@dataclass(frozen=True)
class StrategyCost:
    """Trained weights, median milliseconds per record of a fusion on cached tokens, and megabytes of weights.

    operations: multiplications and additions of a fusion, in millions; unlike time, the same on every machine.
    """

    parameters: int
    milliseconds: float
    megabytes: float
    operations: float = 0.0


@dataclass(frozen=True)
class StrategyReport:
    """Everything measured of one strategy; None or empty where it is not measured yet, or cannot be.

    reliance: mean share of the absolute contributions in the ledger, per modality, over `ledgers` records.
    """

    strategy: str
    status: str
    quality: Quality | None = None
    against: Against | None = None
    cost: StrategyCost | None = None
    patterns: tuple[PatternQuality, ...] = ()
    curves: tuple[Curve, ...] = ()
    emap: Emap | None = None
    perceptual: tuple[PerceptualScore, ...] = ()
    information: tuple[Information, ...] = ()
    reliance: Mapping[str, Measured] = field(default_factory=dict)
    ledgers: int = 0


@dataclass(frozen=True)
class Verdict:
    """Does the task need relations between modalities, or are they independent witnesses; and what follows.

    strategy: the one to run. message: a sentence with its figures. evidence: those figures by name.
    """

    needs: Needs
    strategy: str
    message: str
    evidence: Mapping[str, Measured]


@dataclass(frozen=True)
class Comparison:
    """All strategies of a model on one record set, as far as it is measured.

    done, planned: pieces of work. doing: what comes next, in words, "" at the end. left_out: what cannot be measured
    here, with the reason. refused: rows that could not be read; records = rows read and labelled.
    """

    model: str
    records_name: str
    records: int
    refused: int
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    baseline: str
    seed: int
    strategies: tuple[StrategyReport, ...]
    verdict: Verdict | None
    done: int
    planned: int
    doing: str = ""
    left_out: tuple[str, ...] = ()

    def of(self, strategy: str) -> StrategyReport:
        """Return one strategy's report."""
        return next(report for report in self.strategies if report.strategy == strategy)
