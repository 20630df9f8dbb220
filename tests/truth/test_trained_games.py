"""The games of `science.md` G, played by heads that were trained: near the perfect model's numbers.

Worths are probabilities of the true class, each the mean over 128 donors and many fresh records. What a trained head
adds to the perfect answer is its error, so accuracy on fresh carriers is asked first.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.contribute.emap import emap
from fusion_core.contribute.ledger import measure
from fusion_core.contribute.perceptual import perceptual_score
from fusion_core.contribute.pid import measured
from fusion_core.contribute.shapley import interaction_values, shapley_values
from fusion_core.types import MODALITIES
from tests.truth.carriers import first

ASKED = 40  # records
NEAR = 0.09  # two standard errors of a coin that 128 donors throw


def worths(trained, rows):
    """Return mean contributions, interactions and base over records, in probability of the true class."""
    everyone = MODALITIES
    phi, pairs, base = [], [], []
    for row in rows:
        table = measure(trained.model, trained.fresh.batch(torch.tensor([row])), trained.strategy)
        column = int(trained.fresh.labels[row])
        game = {subset: np.array([p[column]]) for subset, p in table.probabilities.items()}
        phi.append([float(v[0]) for v in shapley_values(game, everyone).values()])
        pairs.append([float(v[0]) for v in interaction_values(game, everyone).values()])
        base.append(float(game[frozenset()][0]))
    return np.mean(phi, axis=0), np.mean(pairs, axis=0), np.mean(base)


def near(*values):
    return pytest.approx(list(values), abs=NEAR)


def test_xor_of_two_is_split_evenly_and_is_all_interaction(xor):
    assert xor.accuracy() >= 0.95
    phi, pairs, base = worths(xor, range(ASKED))
    assert list(phi) == near(0.25, 0.25, 0.0)
    assert list(pairs) == near(0.5, 0.0, 0.0)
    assert base == pytest.approx(0.5, abs=NEAR)


def test_no_sum_of_modalities_answers_xor_and_each_costs_half_when_permuted(xor):
    tokens = first(xor.fresh, 120)
    found = emap(xor.model, tokens, xor.strategy, mode="monte_carlo")
    assert found.accuracy >= 0.95
    assert found.additive_accuracy == pytest.approx(0.5, abs=0.13)  # 2 standard errors of 120 coin flips, and a little
    assert found.residual > 0.9
    scores = [perceptual_score(xor.model, xor.fresh, xor.strategy, m).score for m in MODALITIES]
    assert scores == near(0.5, 0.5, 0.0)


def test_what_xor_answers_is_synergy(xor):
    text, image = (xor.bits[m].numpy() for m in ("text", "image"))
    with torch.no_grad():
        answers = xor.model.fuse(xor.fresh.batch(torch.arange(len(xor.fresh))), xor.strategy).argmax(dim=1).numpy()
    found, _, _ = measured(text, image, answers)
    assert found.synergy == pytest.approx(1.0, abs=0.3)  # in bits; 5 % of wrong answers cost .29
    assert [found.redundancy, found.unique_first, found.unique_second] == near(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("bits", "phi", "interaction"), [((1, 1), (0.375, 0.375), 0.25), ((1, 0), (-0.125, 0.375), 0.25)]
)
def test_and_has_the_contributions_worked_out_by_hand(conjunction, bits, phi, interaction):
    assert conjunction.accuracy() >= 0.97
    asked = (conjunction.bits["text"] == bits[0]) & (conjunction.bits["image"] == bits[1])
    found, pairs, _ = worths(conjunction, asked.nonzero()[:ASKED, 0].tolist())
    assert list(found) == pytest.approx([*phi, 0.0], abs=NEAR)
    assert pairs[0] == pytest.approx(interaction, abs=NEAR)


def test_sums_of_modalities_answer_and(conjunction):
    found = emap(conjunction.model, first(conjunction.fresh, 120), conjunction.strategy, mode="monte_carlo")
    assert found.additive_accuracy == pytest.approx(found.accuracy, abs=0.03)


def test_one_bit_owns_the_answer(one_bit):
    assert one_bit.accuracy() >= 0.97
    phi, pairs, base = worths(one_bit, range(ASKED))
    assert list(phi) == near(0.5, 0.0, 0.0)
    assert list(pairs) == near(0.0, 0.0, 0.0)
    assert base == pytest.approx(0.5, abs=NEAR)
    found = emap(one_bit.model, first(one_bit.fresh, 120), one_bit.strategy, mode="monte_carlo")
    assert found.gap == pytest.approx(0.0, abs=0.02)
    assert found.residual < 0.1
