"""Signals every modality has: how far its tokens lie from the reference, and how unsure its own head is."""

from __future__ import annotations

import numpy as np

from fusion_core.diagnose.signals.seen import Profile, Seen, signals

NEAREST = 5
WIDTH = 64
SEED = 20_240


@signals("tokens")
def token_signals(seen: Seen, profile: Profile) -> dict[str, float]:
    """Measure `<modality>.distance` (to the nearest of the reference), `.spread` (Mahalanobis) and `.unsure` (nats)."""
    found = {}
    for m, vector in seen.pooled.items():
        reference = profile.vectors.get(m)
        if reference is not None and len(reference) > NEAREST:
            own = project(vector)
            found[f"{m}.distance"] = nearest(own, reference)
            found[f"{m}.spread"] = mahalanobis(own, reference)
    for m, probabilities in seen.alone.items():
        found[f"{m}.unsure"] = float(-(probabilities * np.log(probabilities + 1e-12)).sum())
    return found


def project(vector: np.ndarray) -> np.ndarray:
    """Bring a pooled token `[D]` to 64 dimensions by a fixed random map, which keeps distances (Johnson 1984)."""
    if len(vector) <= WIDTH:
        return vector.astype(np.float32)
    weights = np.random.default_rng(SEED).standard_normal((len(vector), WIDTH)).astype(np.float32)
    return np.asarray(vector.astype(np.float32) @ weights / np.sqrt(WIDTH), np.float32)


def nearest(own: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean distance to the five nearest reference vectors, the record itself left out."""
    distances = np.linalg.norm(reference - own, axis=1)
    kept = np.sort(distances[distances > 1e-2 * np.linalg.norm(own)])[:NEAREST]
    return float(kept.mean()) if len(kept) else 0.0


def mahalanobis(own: np.ndarray, reference: np.ndarray) -> float:
    """Return the Mahalanobis distance to the reference, its covariance shrunk by a tenth to its mean variance."""
    centred = reference - reference.mean(axis=0)
    covariance = centred.T @ centred / max(len(reference) - 1, 1)
    ridge = np.trace(covariance) / len(covariance)
    shrunk = 0.9 * covariance + 0.1 * ridge * np.eye(len(covariance))
    off = own - reference.mean(axis=0)
    return float(np.sqrt(off @ np.linalg.solve(shrunk, off)))
