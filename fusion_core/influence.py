"""Which training records pushed an answer: TracIn at the last linear map of a head (Pruthi 2020, `TracInCPFast`).

The index of a training set is saved beside its records, with what it was made from, as `influence.safetensors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fusion_core.answer_table import marks
from fusion_core.errors import CallError, FusionError
from fusion_core.model import FusedModel
from fusion_core.tokens import Progress, TokenSet, encode_records
from fusion_core.types import Influence, Influential, Record, Tokens
from fusion_core.words import AS_LOADED

FILE_NAME = "influence.safetensors"
FORMAT = 1  # raise it when what a strategy's last linear map reads becomes another thing
MAX_BYTES = 500_000_000
BATCH = 64


@dataclass(frozen=True)
class InfluenceIndex:
    """What the last linear map of each strategy read of every training record, and how wrong its answer still was.

    reads: `float32 [N, F]` per strategy, in numbers the file's float16 can hold. wrong: the loss's gradient in the
    logits, softmax minus label, `float32 [N, C]`.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    reads: dict[str, np.ndarray]
    wrong: dict[str, np.ndarray]

    def scores(self, strategy: str, reads: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """Return the influence of every training record `[N]` on the loss of one with `reads [F]` and `wrong [C]`."""
        if strategy not in self.reads:
            raise CallError(f"strategy {strategy!r} was not indexed; the index has {', '.join(self.reads)}")
        return (self.reads[strategy] @ reads) * (self.wrong[strategy] @ wrong)

    def self_influence(self, strategy: str) -> np.ndarray:
        """Return each training record's influence on itself `[N]`, its squared gradient: high for labels that jar."""
        reads, wrong = self.reads[strategy], self.wrong[strategy]
        return np.einsum("nf,nf->n", reads, reads) * np.einsum("nc,nc->n", wrong, wrong)


def build_influence(model: FusedModel, records: Sequence[Record], progress: Progress | None = None) -> InfluenceIndex:
    """Index labelled training records under every trained strategy; records without a label of the model are left out.

    Raises CallError when none is left.
    """
    if all(fitted.status == AS_LOADED for fitted in model.fitted.values()):
        raise CallError(f"{model.name} was not fitted here: which records it learned from is not known")
    labelled = [r for r in records if r.label in model.classes]
    tokens, _ = encode_records(model.stack, labelled, progress=progress)
    if not len(tokens):
        raise CallError(f"no record has a label of this model ({', '.join(model.classes)}): nothing can have pushed it")
    return influence_of(model, tokens, trained(model))


def influence_of(model: FusedModel, tokens: TokenSet, strategies: Sequence[str]) -> InfluenceIndex:
    """Index encoded training records, all with a label of the model, under some strategies."""
    reads: dict[str, np.ndarray] = {}
    wrong: dict[str, np.ndarray] = {}
    for strategy in strategies:
        parts = [_gradient_parts(model, t, strategy, labels) for t, labels in _batches(tokens)]
        reads[strategy] = np.concatenate([r for r, _ in parts]).astype(np.float16).astype(np.float32)
        wrong[strategy] = np.concatenate([w for _, w in parts]).astype(np.float32)
    return InfluenceIndex(tuple(tokens.ids), tuple(str(label) for label in tokens.labels), reads, wrong)


def trained(model: FusedModel) -> tuple[str, ...]:
    """Return the strategies whose heads learned something: a head at chance has no answer to be pushed.

    Of a model that was not fitted here it is not known what it learned from.
    """
    return tuple(s for s in model.strategies if model.fitted[s].status not in ("chance", AS_LOADED))


def influential(
    model: FusedModel,
    index: InfluenceIndex,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: str | None = None,
    most: int = 5,
) -> Influence:
    """Return the training records that pushed one record (`tokens[m] [1, T_m, D_m]`) towards a class, and away.

    target: a class; None is the strategy's own answer. Scores are dot products of loss gradients at the last linear
    map, at the final weights only: one checkpoint, learning rate 1. Raises CallError for unknown names.
    """
    if target is not None and target not in model.classes:
        raise CallError(f"unknown target class {target!r}; the model has {', '.join(model.classes)}")
    with torch.no_grad():
        answer = model.classes[int(model.fuse(tokens, strategy).argmax())]
    asked = target or answer
    reads, wrong = _gradient_parts(model, tokens, strategy, [asked])
    scores = index.scores(strategy, reads[0], wrong[0])
    order = np.argsort(-scores, kind="stable")

    def told(rows: np.ndarray) -> tuple[Influential, ...]:
        return tuple(Influential(index.ids[k], index.labels[k], float(scores[k])) for k in rows)

    return Influence(
        strategy=strategy,
        target=asked,
        towards=told(np.array([k for k in order[:most] if scores[k] > 0], dtype=int)),
        against=told(np.array([k for k in order[::-1][:most] if scores[k] < 0], dtype=int)),
        count=len(index.ids),
    )


def _batches(tokens: TokenSet) -> list[tuple[dict[str, Tokens], list[str]]]:
    rows = torch.arange(len(tokens)).split(BATCH)
    return [(tokens.batch(part), [str(tokens.labels[int(k)]) for k in part]) for part in rows]


def _gradient_parts(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two factors of each row's loss gradient in the last weights: reads `[B, F]` and wrong `[B, C]`."""
    head = model.head(strategy)
    with torch.no_grad():
        projected = head.project(tokens)
        reads = head.last_reads(projected)
        probabilities = head.combine(projected).logits.double().softmax(dim=1)
    truth = torch.nn.functional.one_hot(torch.tensor([model.classes.index(x) for x in labels]), len(model.classes))
    return reads.float().numpy(), (probabilities - truth).float().numpy()


def save_influence(index: InfluenceIndex, bundle: Path, records: Path) -> None:
    """Save an index beside its records, marked with the hashes of the model and the metadata it was made from."""
    tensors = {f"{name}.reads": reads.astype(np.float16) for name, reads in index.reads.items()}
    tensors |= {f"{name}.wrong": wrong.astype(np.float32) for name, wrong in index.wrong.items()}
    about = {"format": FORMAT, **marks(bundle, records), "ids": index.ids, "labels": index.labels}
    save_file(tensors, records / FILE_NAME, {"index": json.dumps(about)})


def load_influence(bundle: Path, records: Path) -> InfluenceIndex | None:
    """Return the saved index; None when there is none, it is damaged, or made from another model or other records."""
    path = records / FILE_NAME
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["index"])
            ids, labels = tuple(about.pop("ids")), tuple(about.pop("labels"))
            if about != {"format": FORMAT, **marks(bundle, records)}:
                return None
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        return _checked(ids, labels, tensors)
    except (SafetensorError, FusionError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _checked(ids: tuple[str, ...], labels: tuple[str, ...], tensors: Mapping[str, np.ndarray]) -> InfluenceIndex:
    """Return the index of a file's tensors; raise ValueError when they do not belong together."""
    names = [key.removesuffix(".reads") for key in tensors if key.endswith(".reads")]
    reads = {name: tensors[f"{name}.reads"].astype(np.float32) for name in names}
    wrong = {name: tensors[f"{name}.wrong"].astype(np.float32) for name in names}
    rows = {len(labels), *(len(part) for part in (*reads.values(), *wrong.values()))}
    finite = all(np.isfinite(part).all() and part.ndim == 2 for part in (*reads.values(), *wrong.values()))
    if rows != {len(ids)} or not finite or not all(isinstance(x, str) for x in (*ids, *labels)):
        raise ValueError("ids, labels and gradients do not belong together")
    return InfluenceIndex(ids, labels, reads, wrong)
