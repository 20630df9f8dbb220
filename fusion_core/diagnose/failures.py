"""The map of failures: each placed near those that the modalities drove alike, and grouped where they lie dense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from fusion_core.contribute.ledger import measure
from fusion_core.model import FusedModel
from fusion_core.types import Tokens

FEWEST = 20  # failures below which a map says nothing
MOST = 2_000
FUSED_PARTS = 8  # principal parts of the fused vector
LEAST_CLUSTER = 10
ALONE = -1


@dataclass(frozen=True)
class Place:
    """Where a failure lies on the map, and its group; -1 for one that lies alone."""

    x: float
    y: float
    cluster: int


def driven_by(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str) -> np.ndarray:
    """Return what drove one record's answer: each modality's contribution to it, then the fused vector `[M + F]`."""
    found = measure(model, tokens, strategy)
    logits = found.values[frozenset(found.players)][0]
    ledger = found.ledger(model.classes[int(logits.argmax())])
    fused = model.embed(tokens, strategy)[1][0].detach().float().numpy()
    return np.concatenate([[ledger.contributions[m] for m in model.modalities], fused])


def failure_map(features: Sequence[np.ndarray], modalities: int) -> list[Place | None]:
    """Place failures by their `features [N, M + F]`, `modalities` contributions first; None where there is no place.

    Contributions and the principal parts of the fused vectors weigh alike in all. Groups are found among the features
    (HDBSCAN), not on the picture of them (t-SNE). At most 2,000 are placed, evenly taken from their order.
    """
    finite = [k for k, row in enumerate(features) if bool(np.isfinite(row).all())]
    chosen = [finite[int(k)] for k in np.linspace(0, len(finite) - 1, min(MOST, len(finite)))]
    places: list[Place | None] = [None] * len(features)
    if len(chosen) < FEWEST:
        return places
    rows = _scaled(np.stack([features[k] for k in chosen]), modalities)
    clusters = HDBSCAN(min_cluster_size=LEAST_CLUSTER, copy=True).fit_predict(rows)
    drawn = TSNE(init="pca", perplexity=min(30.0, (len(rows) - 1) / 3), random_state=0).fit_transform(rows)
    for k, (x, y), cluster in zip(chosen, drawn, clusters, strict=True):
        places[k] = Place(float(x), float(y), int(cluster))
    return places


def _scaled(rows: np.ndarray, modalities: int) -> np.ndarray:
    contributions, fused = rows[:, :modalities], rows[:, modalities:]
    parts = PCA(min(FUSED_PARTS, *fused.shape), random_state=0).fit_transform(fused)
    return np.hstack([_to_unit_spread(contributions), _to_unit_spread(parts)])


def _to_unit_spread(block: np.ndarray) -> np.ndarray:
    """Return a block of columns, centred, whose variances add up to 1."""
    centred = block - block.mean(axis=0)
    spread = np.sqrt(np.square(centred).sum(axis=1).mean())
    return np.asarray(centred / spread if spread > 0 else centred)
