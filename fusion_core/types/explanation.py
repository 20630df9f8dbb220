"""What is said about an answer, in numpy only; letters: `T` tokens of a modality, `C` classes, `H` heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Seam = Literal["input", "fusion"]


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
    `query` and `key` are modalities, `cls` for a learned summary token or `bottleneck` for tokens modalities share.
    A gate (kind "gate") has the query `fused`, the F features it lets a modality into: `weights [1, F, 1]`, and norm,
    how much it lets through: `norm(gate * vector)`. Neither is a contribution.
    summary: whether the query is the one token that the answer is read from, such as `cls`. of: how many heads these
    weights are the mean of, where all of them were too many to keep (then `H` is 1); 0 where they are single heads.
    """

    site: str
    layer: int
    query: str
    key: str
    weights: np.ndarray
    kind: Literal["attention", "gate"] = "attention"
    norm: float | None = None
    summary: bool = False
    of: int = 0

    @property
    def heads(self) -> int:
        """Number of heads the site has."""
        return self.of or int(self.weights.shape[0])


@dataclass(frozen=True)
class Share:
    """One modality's part of a map: mass, its tokens' share of all scores; density, that share per token it has."""

    mass: float
    density: float


@dataclass(frozen=True)
class Curve:
    """What the explained class's centred logit does as tokens are removed, or put back, in a map's order.

    moved `[S]`: share of the tokens moved, 0 to 1. values `[S]`. low, high `[S]`: least and most of the random orders.
    area: mean height of `values`; area_low, area_high: the same of the random orders, least and most.
    """

    moved: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    area: float
    area_low: float
    area_high: float


@dataclass(frozen=True)
class Faithfulness:
    """Whether a map's order of tokens says more about the answer than random orders do.

    scope: `all`, or the one modality whose tokens are moved. policy: what stands in for a removed token. orders: number
    of random orders in the band. badge: `trusted` (deletion and insertion both lie outside the whole band), `weak` (one
    does) or `random` (neither). Read backwards, the insertion is the deletion in reverse order, of equal area.
    comprehensiveness, sufficiency: ERASER's, in logits. sensitivity: correlation of the summed scores of random subsets
    with what removing them takes away; None where it is not defined.
    """

    scope: str
    policy: str
    orders: int
    deletion: Curve
    insertion: Curve
    comprehensiveness: float
    sufficiency: float
    sensitivity: float | None
    badge: Literal["trusted", "weak", "random"]
    sentence: str


@dataclass(frozen=True)
class AttentionScores:
    """How much of each token reaches what the answer is read from, `scores[m] [T_m]`, by attention alone.

    method: `raw` (mean over queries and heads of one layer), `rollout` or `relevancy`. target: the class of
    class-specific scores; None where they are the same for every class. Never an importance: see `Faithfulness`.
    shares: each present modality's mass and density; long modalities soak up mass, density tells that apart.
    faithfulness: whether the map is true, where it was asked for.
    """

    method: str
    target: str | None
    scores: dict[str, np.ndarray]
    shares: dict[str, Share] = field(default_factory=dict)
    faithfulness: tuple[Faithfulness, ...] = ()


@dataclass(frozen=True)
class AttentionHead:
    """One head of one attention: where it is, what it reads, and what it is worth to one class's centred logit.

    number: which head of its attention, from 0. importance: `|sum <O_h, dL/dO_h>|`, a linear guess in logits.
    ablated: by how much the logit really moves when the head's output is zero, absolute; None where not tried.
    """

    site: str
    layer: int
    query: tuple[str, ...]
    key: tuple[str, ...]
    number: int
    importance: float
    ablated: float | None = None


@dataclass(frozen=True)
class Attribution:
    """Signed scores per token, `scores[m] [T_m]`, that together explain one class's logit against a baseline.

    delta: completeness error, |sum(scores) - (f(x) - f(baseline))|; `error` is the same relative to the larger of
    |f(x) - f(baseline)| and 5 % of the logit range over the background. None where a method promises no sum.
    against: the class whose logit is subtracted, when two are contrasted; else the mean logit is.
    spread: standard error per token `[T_m]` of a method that samples. done: share of its planned passes behind it.
    faithfulness: whether the map is true, where it was asked for.
    """

    method: str
    seam: Seam
    target: str
    scores: dict[str, np.ndarray]
    baseline: str
    delta: float | None = None
    error: float | None = None
    evaluations: int = 0
    against: str | None = None
    spread: dict[str, np.ndarray] | None = None
    done: float = 1.0
    faithfulness: tuple[Faithfulness, ...] = ()


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
class SmallestChange:
    """The mildest change of one modality under which a strategy answers otherwise.

    amount: in `unit`s, None where none of those `tried`, from the mildest on, flips the answer. before, after: classes.
    """

    strategy: str
    kind: str
    modality: str
    unit: str
    amount: float | None
    tried: tuple[float, ...]
    before: str
    after: str | None
    evaluations: int


@dataclass(frozen=True)
class Influential:
    """A training record and how much it pushed an answer: a dot product of loss gradients, no unit of its own."""

    id: str
    label: str
    score: float


@dataclass(frozen=True)
class Influence:
    """The training records that pushed an answer towards a class, strongest first, and those that pushed it away.

    count: training records that were compared.
    """

    strategy: str
    target: str
    towards: tuple[Influential, ...]
    against: tuple[Influential, ...]
    count: int


@dataclass(frozen=True)
class Cost:
    """What a trace took: forward passes (rows through the head) and seconds."""

    forwards: int
    seconds: float
