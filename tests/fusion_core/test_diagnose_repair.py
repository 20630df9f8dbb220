"""Verdict by repair on a model whose answer is the sum of what each modality says: the broken one is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.diagnose.repair import try_repairs, verdict
from fusion_core.fusion.head import masked_mean
from fusion_core.model import Background
from fusion_core.types import MODALITIES, Tokens

CLASSES = ("no", "maybe", "yes")


class Votes:
    """Every modality's tokens are its vote for each class; the answer is the class with most of them."""

    classes, modalities, default_strategy = CLASSES, MODALITIES, "votes"

    def __init__(self, weights: dict[str, float]) -> None:
        self.weights = weights
        labels = torch.arange(24) % 3
        votes = torch.nn.functional.one_hot(labels, 3).float()[:, None]
        mask = torch.ones(24, 1, dtype=torch.bool)
        self.background = Background({m: Tokens(votes, mask) for m in MODALITIES})

    def fuse(self, tokens, strategy):
        return sum(self.weights[m] * masked_mean(tokens[m]) for m in MODALITIES)

    def fuse_rows(self, pool, rows, strategy):
        return self.fuse({m: pool[m].rows(rows[m]) for m in MODALITIES}, strategy)


def record(text: int, image: int, audio: int) -> dict[str, Tokens]:
    votes = torch.eye(3)
    return {
        m: Tokens(votes[k][None, None], torch.ones(1, 1, dtype=torch.bool))
        for m, k in zip(MODALITIES, (text, image, audio), strict=True)
    }


def alone(text: int, image: int, audio: int) -> dict[str, np.ndarray]:
    return {m: np.eye(3)[k] * 0.9 + 0.1 / 3 for m, k in zip(MODALITIES, (text, image, audio), strict=True)}


def test_the_broken_modality_is_found_and_the_controls_do_not_fix():
    model = Votes({"text": 1.0, "image": 2.5, "audio": 1.0})
    repairs = try_repairs(model, record(2, 0, 2), alone(2, 0, 2), label=2)
    best = repairs[0]
    assert (best.modality, best.prediction, best.fix_rate, best.fixes) == ("image", "yes", 1.0, True)
    assert best.control == pytest.approx(1 / 3)
    assert verdict(repairs) == ("image", pytest.approx(2 / 3))
    assert all(r.fixes is not True for r in repairs if r.modality != "image" and r.action.startswith("replace"))
    drop = next(r for r in repairs if (r.modality, r.action) == ("image", "drop"))
    assert (drop.prediction, drop.fixes) == ("yes", True)


def test_without_a_label_the_others_vote_and_nothing_is_said_to_fix():
    model = Votes({"text": 1.0, "image": 2.5, "audio": 1.0})
    repairs = try_repairs(model, record(2, 0, 2), alone(2, 0, 2), label=None)
    assert repairs[0].modality == "image"
    assert all(r.fixes is None for r in repairs)


def test_one_modality_alone_cannot_be_repaired():
    tokens = record(2, 0, 2)
    gone = {m: t if m == "text" else Tokens(t.values, t.mask & False) for m, t in tokens.items()}
    assert try_repairs(Votes(dict.fromkeys(MODALITIES, 1.0)), gone, {}, label=1) == ()
    assert verdict(()) is None
