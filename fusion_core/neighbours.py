"""Similar records: which records of a set lie nearest to one in the fused space of a strategy.

The index is saved beside the records, with what it was made from, as `fused.safetensors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fusion_core.answer_table import marks
from fusion_core.answers import Answer
from fusion_core.errors import CallError, FusionError
from fusion_core.types import Failure

FILE_NAME = "fused.safetensors"
FORMAT = 1  # raise it when a strategy's fused vector becomes another one: the marks know the weights, not the code
MAX_BYTES = 500_000_000
DECIMALS = 6  # beyond these, similarities of equal records differ by the order of summation
ROUNDING = 1e-5  # of a vector's length: nearer to the mean than this, it points nowhere


@dataclass(frozen=True)
class Neighbour:
    """A record of the index and the cosine, -1 to 1, between its centred fused vector and the one asked about."""

    id: str
    similarity: float


@dataclass(frozen=True)
class FusedIndex:
    """The fused vectors of a record set under each strategy, as directions from their mean.

    means: `float32 [F]` per strategy. units: centred vectors of length 1, `float32 [N, F]` in the order of `ids`, each
    number one that the file's float16 can hold; NaN where a record has no finite vector, or one that lies at the mean
    and so points nowhere.
    """

    ids: tuple[str, ...]
    means: dict[str, np.ndarray]
    units: dict[str, np.ndarray]

    def nearest(self, strategy: str, vector: np.ndarray, k: int, leave_out_id: str | None = None) -> list[Neighbour]:
        """Return the k records nearest to a fused vector `[F]`, nearest first, ties in the order of the index.

        Nearness is the cosine between vectors centred by the index's mean, else what all records share would count as
        likeness: uncentred, two records of the samples taken at random reach 0.5. Exact, by brute force. Nothing is
        near a vector that is not finite or lies at the mean, or under a strategy that was not indexed. Raises
        CallError for a vector of another width.
        """
        if not self.ids or strategy not in self.units:
            return []
        mean, units = self.means[strategy], self.units[strategy]
        if vector.shape != mean.shape:
            given, wanted = list(vector.shape), list(mean.shape)
            raise CallError(f"a vector of shape {given} was given but the index of {strategy!r} holds {wanted}")
        lengths = np.sqrt(np.einsum("nf,nf->n", units, units))  # not quite 1 since their rounding
        cosines = np.round(units @ _directions(vector[None], mean)[0] / lengths, DECIMALS)
        order = np.argsort(-cosines, kind="stable")
        near = (row for row in order if np.isfinite(cosines[row]) and self.ids[row] != leave_out_id)
        return [Neighbour(self.ids[row], float(cosines[row])) for row in islice(near, max(k, 0))]


def build_index(answers: Iterable[Answer | Failure]) -> FusedIndex:
    """Index the fused vectors of a record set's answers, in the order of their records; failures have none."""
    found: dict[str, dict[str, np.ndarray]] = {}
    ids: dict[str, None] = {}
    for answer in answers:
        if isinstance(answer, Answer):
            ids.setdefault(answer.record.id)
            found.setdefault(answer.strategy, {})[answer.record.id] = answer.fused
    vectors = {}
    for name, own in found.items():
        blank = np.full_like(next(iter(own.values())), np.nan)
        vectors[name] = np.stack([own.get(id, blank) for id in ids])
    return index_vectors(tuple(ids), vectors)


def index_vectors(ids: Sequence[str], vectors: Mapping[str, np.ndarray]) -> FusedIndex:
    """Index fused vectors `[N, F]` per strategy, one row per id.

    Directions are rounded as the file rounds them: an index finds the same neighbours before and after it was saved.
    """
    means, units = {}, {}
    for name, rows in vectors.items():
        finite = np.isfinite(rows).all(axis=1)
        # Of equal rows the double-precision mean is exactly their value, so that none of them gets a direction.
        mean = rows[finite].mean(axis=0, dtype=np.float64) if finite.any() else np.zeros(rows.shape[1])
        means[name] = mean.astype(np.float32)
        units[name] = _directions(rows, means[name]).astype(np.float16).astype(np.float32)
    return FusedIndex(tuple(ids), means, units)


def save_index(index: FusedIndex, bundle: Path, records: Path) -> None:
    """Save an index beside its records, marked with the hashes of the model and the metadata it was made from."""
    tensors = {f"{name}.mean": mean for name, mean in index.means.items()}
    tensors |= {f"{name}.units": units.astype(np.float16) for name, units in index.units.items()}
    # One entry: safetensors writes several in any order, and the same index must give the same bytes.
    about = json.dumps({**_about(bundle, records), "ids": index.ids})
    save_file(tensors, records / FILE_NAME, {"index": about})


def load_index(bundle: Path, records: Path) -> FusedIndex | None:
    """Return the saved index; None when there is none, it is damaged, or made from another model or other records."""
    path = records / FILE_NAME
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["index"])
            ids = tuple(about.pop("ids"))
            if about != _about(bundle, records):
                return None
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        return _checked(ids, tensors)
    except (SafetensorError, FusionError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _about(bundle: Path, records: Path) -> dict[str, str | int]:
    return {"format": FORMAT, **marks(bundle, records)}


def _checked(ids: tuple[str, ...], tensors: Mapping[str, np.ndarray]) -> FusedIndex:
    """Return the index of a file's tensors; raise ValueError when they do not belong together."""
    names = [key.removesuffix(".units") for key in tensors if key.endswith(".units")]
    means = {name: tensors[f"{name}.mean"] for name in names}
    stored = {name: tensors[f"{name}.units"] for name in names}
    whole = all(
        stored[name].dtype == np.float16
        and means[name].dtype == np.float32
        and means[name].ndim == 1
        and stored[name].shape == (len(ids), len(means[name]))
        for name in names
    )
    if not whole or len(set(ids)) != len(ids) or not all(isinstance(id, str) for id in ids):
        raise ValueError("ids, means and directions do not belong together")
    return FusedIndex(ids, means, {name: rows.astype(np.float32) for name, rows in stored.items()})


def _directions(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return rows `[N, F]` centred and of length 1, `float32`; NaN where a row is not finite or lies at the mean."""
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.nan).astype(np.float32)
    centred = rows - mean
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    lost = lengths <= ROUNDING * np.linalg.norm(rows, axis=1, keepdims=True)
    return centred / np.where(lost, np.nan, lengths)
