"""Do maps find the carrier? A head that needs one bit of each modality, and the word, cell and second that hold it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.attend import attention_scores
from fusion_core.question import Question, attribute
from fusion_core.types import MODALITIES
from tests.conftest import Whole

ASKED = 30


def maps(trained, row):
    """Return the maps of the answer to one fresh record, by name."""
    tokens = trained.fresh.batch(torch.tensor([row]))
    answer = int(trained.model.fuse(tokens, trained.strategy).argmax())
    target = trained.model.classes[answer]
    (found,) = attribute(trained.model, Whole(), tokens, trained.strategy, target, Question())
    views = {view.method: view.scores for view in attention_scores(trained.model, tokens, trained.strategy, answer)}
    return {"integrated_gradients": found.scores, **views}


@pytest.fixture(scope="module")
def found(majority):
    """Return per map and modality: mass on the carrier, its share of the tokens, how often the strongest is on it."""
    rows: dict[tuple[str, str], list[tuple[float, float, bool]]] = {}
    for row in range(ASKED):
        for name, scores in maps(majority, row).items():
            for m in MODALITIES:
                place = majority.fresh.index[m][row]
                share = majority.pools[m].bit_share[place].numpy()
                valid = majority.pools[m].tokens.mask[place].numpy()
                size = np.abs(scores[m][valid])
                mass = float((size * share[valid]).sum() / max(size.sum(), 1e-12))
                rows.setdefault((name, m), []).append(
                    (mass, float(share[valid].mean()), bool(share[valid][size.argmax()] > 0))
                )
    return {key: tuple(float(np.mean(column)) for column in zip(*each, strict=True)) for key, each in rows.items()}


def test_every_modality_is_needed(majority):
    assert majority.accuracy() >= 0.95
    for m in MODALITIES:
        assert majority.accuracy(majority.fresh.without(m)) <= majority.accuracy() - 0.1


@pytest.mark.parametrize("modality", MODALITIES)
def test_integrated_gradients_lie_on_the_carrier(found, modality):
    mass, area, pointing = found["integrated_gradients", modality]
    assert mass >= 2.0 * area
    assert pointing >= {"text": 0.9, "image": 0.4, "audio": 0.5}[modality]


@pytest.mark.parametrize("view", ["raw", "rollout", "relevancy"])
def test_attention_looks_at_the_carrier_of_a_word(found, view):
    mass, area, _ = found[view, "text"]
    assert mass > area


def test_what_each_map_found_is_printed(found):
    """Print the figures: `pytest -s -k printed`."""
    for (name, m), (mass, area, pointing) in found.items():
        print(f"{name:22s} {m:6s} mass {mass:.2f} of area {area:.2f}, strongest on it {pointing:.2f}")
    assert len(found) == 4 * len(MODALITIES)
