"""Is a modality used? Conditional utilisation, and what each modality could say by itself (Wu 2022).

No weight or gradient norms: they are not functions of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from fusion_core.errors import CallError
from fusion_core.fusion.head import masked_mean
from fusion_core.intervals import bootstrap, wilson
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet

CHUNK = 256


@dataclass(frozen=True)
class Utilisation:
    """`u(a | b) = (A(ab) - A(b)) / A(ab)`, A the accuracy with only these modalities left (removal policy: missing).

    given: b, all other modalities unless named. interval: 95 % bootstrap over records. accuracy, without: A(ab), A(b).
    probe: accuracy of a linear probe on a's pooled tokens, with its Wilson interval: what the joint head could have had
    from it. alone: what the head makes of a by itself.
    """

    modality: str
    given: tuple[str, ...]
    utilisation: float
    interval: tuple[float, float]
    accuracy: float
    without: float
    alone: float
    probe: float
    probe_interval: tuple[float, float]
    records: int


def utilisation(
    model: FusedModel,
    train: TokenSet,
    test: TokenSet,
    strategy: str,
    modality: str,
    given: Sequence[str] | None = None,
    seed: int = 0,
) -> Utilisation:
    """Measure one modality on labelled records; the probe is fitted on `train`, everything is scored on `test`.

    Raises CallError for a modality the model does not read, or nothing to compare it with.
    """
    if modality not in model.modalities or len(model.modalities) < 2:
        raise CallError(f"utilisation needs two of the model's modalities; it reads {', '.join(model.modalities)}")
    others = tuple(m for m in model.modalities if m != modality and (given is None or m in given))
    if not others or (given is not None and set(given) != set(others)):
        raise CallError(f"{modality} given {tuple(given or ())}: name others of {', '.join(model.modalities)}")
    kept = ((modality, *others), others, (modality,))
    whole, rest, alone = (_right(model, test.only(*names), strategy) for names in kept)
    probe = _probe(train, test, modality)

    def share(rows: np.ndarray) -> float:
        return float((whole[rows] - rest[rows]).mean() / max(float(whole[rows].mean()), 1e-12))

    return Utilisation(
        modality=modality,
        given=others,
        utilisation=share(np.arange(len(test))),
        interval=bootstrap(share, len(test), seed),
        accuracy=float(whole.mean()),
        without=float(rest.mean()),
        alone=float(alone.mean()),
        probe=float(probe.mean()),
        probe_interval=wilson(int(probe.sum()), len(test)),
        records=len(test),
    )


def _right(model: FusedModel, tokens: TokenSet, strategy: str) -> np.ndarray:
    truth = torch.tensor([model.classes.index(str(label)) for label in tokens.labels])
    with torch.no_grad():
        answers = [
            model.fuse(tokens.batch(rows), strategy).argmax(1) for rows in torch.arange(len(tokens)).split(CHUNK)
        ]
    return (torch.cat(answers) == truth).double().numpy()


def _probe(train: TokenSet, test: TokenSet, modality: str) -> np.ndarray:
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    probe.fit(_pooled(train, modality), list(train.labels))
    found: np.ndarray = probe.predict(_pooled(test, modality)) == np.asarray(test.labels)
    return found


def _pooled(tokens: TokenSet, modality: str) -> np.ndarray:
    pooled = masked_mean(tokens.pools[modality].each(Tensor.float))
    index = tokens.index[modality]
    return torch.where((index >= 0)[:, None], pooled[index.clamp(min=0)], 0.0).numpy()
