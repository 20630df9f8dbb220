"""How good a head is on validation records beyond its accuracy, with bootstrap intervals."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fusion_core.fit import answers_of, logits
from fusion_core.fit_facts import Figure, HeadFigures
from fusion_core.fusion import Head
from fusion_core.intervals import bootstrap
from fusion_core.tokens import TokenSet


def head_figures(head: Head, tokens: TokenSet, wanted: Tensor, seed: int) -> HeadFigures:
    """Return macro-F1 and negative log-likelihood (nats) of a head on records it should answer `wanted` to.

    wanted: class numbers `[N]`, or probabilities `[N, C]`, whose likelihood is the cross-entropy to them.
    """
    said = logits(head, tokens)
    losses = torch.nn.functional.cross_entropy(said.double(), _like(said, wanted), reduction="none").numpy()
    answers, truth = said.argmax(dim=1).numpy(), answers_of(wanted).numpy()
    classes, count = said.shape[1], len(truth)

    def f1(rows: np.ndarray) -> float:
        return macro_f1(answers[rows], truth[rows], classes)

    everything = np.arange(count)
    return HeadFigures(
        Figure(f1(everything), *bootstrap(f1, count, seed)),
        Figure(float(losses.mean()), *bootstrap(lambda rows: float(losses[rows].mean()), count, seed)),
    )


def macro_f1(answers: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Return the mean F1 over the classes that occur among truth or answers, 0 to 1."""
    met = np.bincount(truth * classes + answers, minlength=classes * classes).reshape(classes, classes)
    right, named = np.diag(met), met.sum(axis=0) + met.sum(axis=1)
    return float((2 * right[named > 0] / named[named > 0]).mean()) if named.any() else 0.0


def _like(said: Tensor, wanted: Tensor) -> Tensor:
    return wanted.to(torch.float64) if wanted.ndim == 2 else wanted
