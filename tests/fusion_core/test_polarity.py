"""Polarity violations of a model that adds up its words: every removal's effect is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion_core.fusion import Head
from fusion_core.verify.polarity import polarity_violations
from tests.conftest import CLASSES, SPECS, random_tokens, tiny_head
from tests.fusion_core.handmade import SETTINGS, answer, model_of


class Adds(Head):
    """The logit of "yes" is the sum of the first number of every word; the other classes stay at 0."""

    def __init__(self):
        super().__init__(SPECS, len(CLASSES), SETTINGS)

    def project(self, tokens):
        return dict(tokens)

    def combine(self, projected):
        words = projected["text"]
        total = torch.where(words.mask, words.values[..., 0], 0.0).sum(1)
        return answer(torch.stack([0 * total, 0 * total, total], dim=1))


@pytest.fixture
def model():
    return model_of(Adds())


def words(model, steps):
    """Return a record whose words lie `steps` away from the background's mean word."""
    tokens = random_tokens(1, lengths={"text": len(steps), "image": 9, "audio": 4})
    tokens["text"].values[0, :, 0] = model.background.mean_token("text")[0] + torch.tensor(steps)
    return tokens


def test_tokens_below_the_mean_are_violations_among_the_top(model):
    tokens = words(model, [-2.0, -1.0, 1.0, 3.0, 0.5])
    check = polarity_violations(model, tokens, "mine", 2, {"text": np.array([5.0, 4.0, 3.0, 2.0, 1.0])}, k=3)
    assert check.value == pytest.approx(2 / 3)
    assert check.passed is False
    assert check.sentence.startswith("2 of the 3 tokens this map finds strongest speak against yes")
    assert "mean token of the background" in check.sentence


def test_a_true_map_has_none_and_its_negation_nothing_else(model):
    steps = np.array([2.0, -1.0, 1.0, -3.0, 0.5])
    tokens = words(model, steps.tolist())
    true = polarity_violations(model, tokens, "mine", 2, {"text": steps})
    assert (true.value, true.passed) == (0.0, True)
    assert "0 of the 3" in true.sentence
    false = polarity_violations(model, tokens, "mine", 2, {"text": -steps})
    assert (false.value, false.passed) == (1.0, False)


def test_the_class_decides_what_a_violation_is(model):
    tokens = words(model, [2.0, 1.0])
    scores = {"text": np.array([1.0, 1.0])}
    assert polarity_violations(model, tokens, "mine", 2, scores).value == 0.0
    assert polarity_violations(model, tokens, "mine", 0, scores).value == 1.0


def test_a_token_that_changes_nothing_violates_nothing(model):
    tokens = words(model, [2.0, 1.0])
    scores = {"image": np.eye(9)[3], "text": np.zeros(2)}
    assert polarity_violations(model, tokens, "mine", 2, scores).value == 0.0


def test_padding_and_scores_of_nothing_are_not_tried(model):
    tokens = words(model, [2.0, -1.0, 1.0])
    tokens["text"] = replace(tokens["text"], mask=torch.tensor([[True, False, True]]))
    check = polarity_violations(model, tokens, "mine", 2, {"text": np.array([1.0, 9.0, float("nan")])})
    assert check.value == 0.0
    assert "0 of the 1" in check.sentence
    empty = polarity_violations(model, tokens, "mine", 2, {"text": np.array([0.0, 9.0, -1.0])})
    assert math.isnan(empty.value)
    assert empty.passed is None
    assert empty.sentence == "this map finds no token that supports yes"


def test_the_record_itself_is_left_as_it_is():
    model, tokens = model_of(tiny_head("early")), random_tokens(1)
    before = {m: t.values.clone() for m, t in tokens.items()}
    scores = {m: np.ones(t.mask.shape[1]) for m, t in tokens.items()}
    first, again = (polarity_violations(model, tokens, "mine", 0, scores) for _ in range(2))
    assert first == again
    assert all(torch.equal(before[m], t.values) for m, t in tokens.items())
