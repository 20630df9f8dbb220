"""Known answers of `science.md` G for models whose every answer is known: XOR, AND and one bit alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from fusion_core.contribute.ledger import measure
from fusion_core.contribute.shapley import coalitions, interaction_values, moebius, shapley_values
from fusion_core.model import Background
from fusion_core.types import MODALITIES, Tokens

DONORS = 8192
TOLERANCE = 4 / np.sqrt(DONORS)


class PerfectModel:
    """Answers `rule(text, image, audio)` from one bit per modality, with logits whose centred value is p - 1/2."""

    classes = ("0", "1")
    modalities = MODALITIES

    def __init__(self, rule):
        self.rule = rule
        generator = torch.Generator().manual_seed(3)
        balanced = torch.arange(DONORS) % 2
        shuffled = {m: balanced[torch.randperm(DONORS, generator=generator)] for m in MODALITIES}
        self.background = Background({m: bits(b) for m, b in shuffled.items()})

    def fuse(self, tokens, strategy):
        given = [tokens[m].values[:, 0, 0] > 0.5 for m in MODALITIES]
        truth = self.rule(*given).float() - 0.5
        return torch.stack([-truth, truth], dim=1)

    def fuse_rows(self, pool, rows, strategy):
        return self.fuse({m: pool[m].rows(rows[m]) for m in pool}, strategy)


def bits(values):
    return Tokens(values.float()[:, None, None], torch.ones(len(values), 1, dtype=torch.bool))


def ledger_of(rule, *values):
    tokens = {m: bits(torch.tensor([v])) for m, v in zip(MODALITIES, values, strict=True)}
    table = measure(PerfectModel(rule), tokens, "any")
    target = str(int(rule(*(torch.tensor(bool(v)) for v in values))))
    return table.ledger(target)


def near(value):
    return pytest.approx(value, abs=TOLERANCE)


@pytest.mark.parametrize("values", list(product((0, 1), repeat=3)))
def test_xor_of_two_is_split_evenly_and_is_all_interaction(values):
    found = ledger_of(lambda t, i, a: t ^ i, *values)
    assert [found.contributions[m] for m in MODALITIES] == [near(0.25), near(0.25), near(0.0)]
    assert found.interactions["text+image"] == near(0.5)
    assert found.interactions["text+audio"] == near(0.0)
    assert found.base + 0.5 == near(0.5)
    assert all(reading.probability < 0.75 for reading in found.alone.values())


@pytest.mark.parametrize("values", list(product((0, 1), repeat=3)))
def test_xor_of_three_needs_all_three(values):
    found = ledger_of(lambda t, i, a: t ^ i ^ a, *values)
    assert list(found.contributions.values()) == [near(1 / 6)] * 3
    assert list(found.interactions.values()) == [near(0.25)] * 3
    assert found.three_way == near(0.5)


@pytest.mark.parametrize("values", list(product((0, 1), repeat=3)))
def test_a_single_bit_owns_the_whole_answer(values):
    found = ledger_of(lambda t, i, a: t, *values)
    assert list(found.contributions.values()) == [near(0.5), near(0.0), near(0.0)]
    assert list(found.interactions.values()) == [near(0.0)] * 3
    assert found.three_way == near(0.0)


@pytest.mark.parametrize(
    ("text", "image", "phi"), [(1, 1, (0.375, 0.375)), (1, 0, (-0.125, 0.375)), (0, 1, (0.375, -0.125))]
)
def test_and_has_the_contributions_worked_out_by_hand(text, image, phi):
    found = ledger_of(lambda t, i, a: t & i, text, image, 1)
    assert found.contributions["text"] == near(phi[0])
    assert found.contributions["image"] == near(phi[1])
    if (text, image) == (1, 1):
        assert found.interactions["text+image"] == near(0.25)


def test_marginal_donors_are_what_xor_needs_a_zero_baseline_misleads():
    tokens = {m: bits(torch.tensor([v])) for m, v in zip(MODALITIES, (1, 0, 0), strict=True)}
    model = PerfectModel(lambda t, i, a: t ^ i)
    zero = measure(model, tokens, "any", policy="zero").ledger("1")
    assert [zero.contributions["text"], zero.contributions["image"]] == [1.0, 0.0]
    assert zero.interactions["text+image"] == 0.0


def test_an_absent_modality_is_no_player():
    tokens = {m: bits(torch.tensor([1])) for m in MODALITIES}
    tokens["audio"] = Tokens(tokens["audio"].values, tokens["audio"].mask & False)
    found = measure(PerfectModel(lambda t, i, a: t ^ i), tokens, "any").ledger("0")
    assert found.contributions["audio"] == 0.0
    assert found.standard_errors["audio"] is None
    assert list(found.interactions) == ["text+image"]
    assert found.three_way is None


def test_shapley_values_of_a_table_worked_out_by_hand():
    worth = {"": 0, "a": 1, "b": 2, "ab": 5}
    game = {s: np.array(float(worth["".join(sorted(s))])) for s in coalitions("ab")}
    assert {k: float(v) for k, v in shapley_values(game, "ab").items()} == {"a": 2.0, "b": 3.0}
    assert float(interaction_values(game, "ab")["a", "b"]) == 2.0
    assert float(moebius(game, "ab")) == 2.0
