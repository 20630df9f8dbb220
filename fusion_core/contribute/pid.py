"""Partial information decomposition of two sources about a target: redundancy, unique parts, synergy (Liang 2023).

The decomposition of Bertschinger 2014: q maximises H_q(Y | X1, X2) among the distributions with the pair marginals
(X1, Y) and (X2, Y) of p. Everything is in bits (the code published with the paper reports nats).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor

from fusion_core.errors import CallError
from fusion_core.fusion.head import masked_mean
from fusion_core.intervals import Z95
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet

MOST_ROUNDS, CHECKED_EVERY = 20_000, 20
GAP = 5e-4  # bits
MOST_CLUSTERS = 20
COMPONENTS = 10
PERMUTATIONS, RESAMPLES = 10, 50
PARTS = ("redundancy", "unique_first", "unique_second", "synergy")


@dataclass(frozen=True)
class Decomposition:
    """Bits that two sources give about a target: both alike, each alone, and only together."""

    redundancy: float
    unique_first: float
    unique_second: float
    synergy: float

    @property
    def total(self) -> float:
        """Return I(X1, X2; Y)."""
        return self.redundancy + self.unique_first + self.unique_second + self.synergy


@dataclass(frozen=True)
class Information:
    """What two modalities give about the labels or the answers of a model, in bits.

    bits: less the null. null: the mean of the same with the target permuted, which is what few records find in nothing.
    intervals: 95 % per part, from the spread over resamples of the records.
    """

    first: str
    second: str
    about: str
    bits: Decomposition
    null: Decomposition
    intervals: dict[str, tuple[float, float]]
    clusters: tuple[int, int]
    records: int


def information(
    model: FusedModel,
    tokens: TokenSet,
    strategy: str,
    first: str,
    second: str,
    about: str = "labels",
    clusters: int = MOST_CLUSTERS,
    seed: int = 0,
) -> Information:
    """Decompose what two modalities, pooled as the strategy's head sees them, give about `labels` or `answers`.

    Raises CallError for modalities the model does not read, records without one of them, or another `about`.
    """
    if first == second or not {first, second} <= set(model.modalities):
        raise CallError(f"name two of the model's modalities: {', '.join(model.modalities)}")
    if any(bool((tokens.index[m] < 0).any()) for m in (first, second)):
        raise CallError(f"every record must have {first} and {second}; leave the others out")
    head = model.head(strategy)
    with torch.no_grad():
        projected = head.project({m: tokens.pools[m].each(Tensor.float) for m in model.modalities})
        pooled = [masked_mean(projected[m])[tokens.index[m]].numpy() for m in (first, second)]
        if about == "labels":
            target = np.asarray(tokens.labels, dtype=str)
        elif about == "answers":
            answers = [
                head.combine({m: projected[m].rows(tokens.index[m][rows]) for m in model.modalities}).logits.argmax(1)
                for rows in torch.arange(len(tokens)).split(512)
            ]
            target = torch.cat(answers).numpy()
        else:
            raise CallError(f"unknown target {about!r}; allowed: labels, answers")
    groups = [discretised(features, clusters, seed) for features in pooled]
    found, null, errors = measured(groups[0], groups[1], target, seed=seed)
    intervals = {
        part: (getattr(found, part) - Z95 * error, getattr(found, part) + Z95 * error)
        for part, error in zip(PARTS, errors, strict=True)
    }
    counts = (int(groups[0].max()) + 1, int(groups[1].max()) + 1)
    return Information(first, second, about, found, null, intervals, counts, len(tokens))


def measured(
    first: np.ndarray,
    second: np.ndarray,
    target: np.ndarray,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Decomposition, Decomposition, tuple[float, ...]]:
    """Decompose discrete samples `[N]`: what is left above the null, the null, and a standard error per part.

    The null is the mean with the target permuted; standard errors are the spread over bootstrap resamples.
    """
    rng = np.random.default_rng(seed)
    count = len(target)
    found = np.array(astuple(decompose(counted(first, second, target))))
    null = _mean_and_spread([counted(first, second, rng.permutation(target)) for _ in range(permutations)])[0]
    drawn = [rng.integers(count, size=count) for _ in range(resamples)]
    errors = _mean_and_spread([counted(first[rows], second[rows], target[rows]) for rows in drawn])[1]
    return Decomposition(*(found - null).tolist()), Decomposition(*null.tolist()), tuple(errors.tolist())


def _mean_and_spread(tables: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    parts = np.array([astuple(decompose(table)) for table in tables])
    return parts.mean(axis=0), parts.std(axis=0, ddof=1)


def decompose(joint: np.ndarray) -> Decomposition:
    """Decompose a joint distribution `p [X1, X2, Y]` (counts are normalised), each part to within 5e-4 bits."""
    p = np.asarray(joint, dtype=float)
    p = p / p.sum()
    together = _information(_least_synergy(p).reshape(-1, p.shape[2]))
    first, second = _information(p.sum(axis=1)), _information(p.sum(axis=0))
    return Decomposition(
        redundancy=first + second - together,
        unique_first=together - second,
        unique_second=together - first,
        synergy=_information(p.reshape(-1, p.shape[2])) - together,
    )


def _least_synergy(p: np.ndarray) -> np.ndarray:
    """Return q by alternating projections until the duality gap is small.

    q = m(x1, x2) a(x1, y) b(x2, y): a and b scale it to the pair marginals, and m moves to the q just found. Each step
    lessens the same divergence, which is -H_q(Y | X1, X2) up to a constant and convex. log a and log b, less the
    largest log of `s = sum_y a b`, are feasible in the dual (`max E log ab` with `s <= 1` everywhere; Makkeh 2018), so
    the distance to the optimum is known.
    """
    rows, columns = p.sum(axis=1), p.sum(axis=0)  # [X1, Y], [X2, Y]
    there = (rows.sum(axis=1) > 0)[:, None] & (columns.sum(axis=1) > 0)[None]
    m = rows.sum(axis=1)[:, None] * columns.sum(axis=1)[None]
    b = np.ones_like(columns)
    for number in range(MOST_ROUNDS):
        a = _ratio(rows, m @ b)
        b = _ratio(columns, m.T @ a)
        s = a @ b.T
        if number % CHECKED_EVERY == 0:
            q = m[..., None] * a[:, None] * b[None]
            missed = float(np.abs(q.sum(axis=1) - rows).sum())
            bound = _expected_log(rows, a) + _expected_log(columns, b) - float(np.log2(s[there].max()))
            if max(-_conditional_entropy(q) - bound, missed) < GAP:
                break
        m = m * s
    return m[..., None] * a[:, None] * b[None]


def _ratio(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


def _expected_log(weights: np.ndarray, values: np.ndarray) -> float:
    there = weights > 0
    return float((weights[there] * np.log2(values[there])).sum())


def _conditional_entropy(q: np.ndarray) -> float:
    """Return H(Y | X1, X2) of `q [X1, X2, Y]`, in bits."""
    given = np.broadcast_to(q.sum(axis=2, keepdims=True), q.shape)
    there = q > 0
    return -float((q[there] * np.log2(q[there] / given[there])).sum())


def _information(p: np.ndarray) -> float:
    """Return the mutual information of the rows and columns of `p [X, Y]`, in bits."""
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    there = (p > 0) & (independent > 0)
    return float((p[there] * np.log2(p[there] / independent[there])).sum())


def discretised(features: np.ndarray, clusters: int = MOST_CLUSTERS, seed: int = 0) -> np.ndarray:
    """Return a cluster number per record of `features [N, D]`: PCA, then k-means with at most 20 clusters."""
    count = min(clusters, MOST_CLUSTERS, len(np.unique(features, axis=0)))
    fewer = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
    found: np.ndarray = KMeans(count, n_init=4, random_state=seed).fit_predict(fewer)
    return found


def counted(first: np.ndarray, second: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return how often each combination of three discrete samples `[N]` occurs, `[X1, X2, Y]`."""
    numbered = [np.unique(values, return_inverse=True)[1] for values in (first, second, target)]
    table = np.zeros([int(n.max()) + 1 for n in numbered])
    np.add.at(table, tuple(numbered), 1)
    return table
