"""Partial information decomposition of two sources about a target: redundancy, unique parts, synergy (Liang 2023).

The decomposition of Bertschinger 2014: q maximises H_q(Y | X1, X2) among the distributions with the pair marginals
(X1, Y) and (X2, Y) of p. Everything is in bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

ROUNDS, TOLERANCE = 1_000, 1e-7
SCALINGS = 4
MOST_CLUSTERS = 20
COMPONENTS = 10


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

    def minus(self, other: Decomposition) -> Decomposition:
        """Return the difference, part by part: what is left above a null."""
        return Decomposition(
            self.redundancy - other.redundancy,
            self.unique_first - other.unique_first,
            self.unique_second - other.unique_second,
            self.synergy - other.synergy,
        )


def decompose(joint: np.ndarray) -> Decomposition:
    """Decompose a joint distribution `p [X1, X2, Y]` (counts are normalised)."""
    p = np.asarray(joint, dtype=float)
    p = p / p.sum()
    q = _least_synergy(p)
    first, second = _information(p.sum(axis=1)), _information(p.sum(axis=0))
    together = _information(q.reshape(-1, q.shape[2]))
    return Decomposition(
        redundancy=first + second - together,
        unique_first=together - second,
        unique_second=together - first,
        synergy=_information(p.reshape(-1, p.shape[2])) - together,
    )


def _least_synergy(p: np.ndarray) -> np.ndarray:
    """Return q by alternating projections: towards the pair marginals, and towards a Y that (X1, X2) do not tell.

    Each round takes q(x1, x2) for every y alike and scales it to p(x1, y) and p(x2, y) (Sinkhorn): both steps lessen
    the same divergence, -H_q(Y | X1, X2), which is convex.
    """
    rows, columns = p.sum(axis=1), p.sum(axis=0)  # [X1, Y], [X2, Y]
    mass = p.sum(axis=(0, 1))
    q = np.einsum("iy,jy->ijy", rows, columns / np.where(mass > 0, mass, 1.0))
    for _ in range(ROUNDS):
        before = q
        q = _scaled(np.repeat(q.sum(axis=2, keepdims=True), p.shape[2], axis=2), rows, columns)
        if np.abs(q - before).max() < TOLERANCE:
            break
    return q


def _scaled(q: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    for _ in range(SCALINGS):
        q = q * _ratio(rows, q.sum(axis=1))[:, None]
        q = q * _ratio(columns, q.sum(axis=0))[None]
    return q


def _ratio(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


def _information(p: np.ndarray) -> float:
    """Return the mutual information of the rows and columns of `p [X, Y]`, in bits."""
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    there = (p > 0) & (independent > 0)
    return float((p[there] * np.log2(p[there] / independent[there])).sum())


def measured(
    first: np.ndarray, second: np.ndarray, target: np.ndarray, permutations: int = 10, seed: int = 0
) -> Decomposition:
    """Decompose discrete samples `[N]`, less the mean of the same with the target permuted: finite samples' bias."""
    rng = np.random.default_rng(seed)
    found = decompose(_counts(first, second, target))
    null = [decompose(_counts(first, second, rng.permutation(target))) for _ in range(permutations)]
    mean = Decomposition(
        *(float(np.mean([getattr(d, part) for d in null])) for part in Decomposition.__dataclass_fields__)
    )
    return found.minus(mean)


def discretised(features: np.ndarray, clusters: int = MOST_CLUSTERS, seed: int = 0) -> np.ndarray:
    """Return a cluster number per record of `features [N, D]`: PCA, then k-means with at most 20 clusters."""
    count = min(clusters, MOST_CLUSTERS, len(np.unique(features, axis=0)))
    fewer = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
    return KMeans(count, n_init=4, random_state=seed).fit_predict(fewer)


def _counts(first: np.ndarray, second: np.ndarray, target: np.ndarray) -> np.ndarray:
    numbered = [np.unique(values, return_inverse=True)[1] for values in (first, second, target)]
    table = np.zeros([int(n.max()) + 1 for n in numbered])
    np.add.at(table, tuple(numbered), 1)
    return table
