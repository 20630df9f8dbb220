"""Polarity violations of a model that adds up its words: every removal's effect is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion_core.fusion import Head
from fusion_core.verify.polarity import polarity_violations
from tests.conftest import CLASSES, SPECS, absent, random_tokens, tiny_head
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


def judged(model, tokens, target=2, k=10, **scores):
    """Return the check of one map, `scores[m]`; the record's other modalities are absent, so only words are drawn."""
    tokens = tokens if "image" in scores else absent(tokens, "image", "audio")
    (check,) = polarity_violations(
        model, tokens, "mine", target, {"raw": {m: np.array(s, dtype=float) for m, s in scores.items()}}, k
    )
    assert check.name == "polarity_raw"
    return check


def test_tokens_below_the_mean_are_violations_among_the_top(model):
    check = judged(model, words(model, [-2.0, -1.0, 1.0, 3.0, 0.5]), text=[5, 4, 3, 2, 1], k=3)
    assert check.value == pytest.approx(2 / 3)
    assert check.passed is False  # of all five, two do
    assert check.sentence == (
        "2 of the 3 tokens this map finds strongest speak against yes: its logit rises when one is replaced by the "
        "mean token of the background; so do 2 of 5 drawn at random"
    )


def test_a_true_map_has_none_and_its_negation_nothing_else(model):
    steps = np.array([2.0, -1.0, 1.0, -3.0, 0.5])
    tokens = words(model, steps.tolist())
    true, false = judged(model, tokens, text=steps), judged(model, tokens, text=-steps)
    assert (true.value, true.passed) == (0.0, True)
    assert true.sentence.startswith("0 of the 3")
    assert (false.value, false.passed) == (1.0, False)


def test_chance_is_what_this_record_gives_not_one_half(model):
    mostly_against = words(model, [-1.0, -1.0, -1.0, 1.0])
    check = judged(model, mostly_against, text=[1, 0, 0, 2])
    assert (check.value, check.passed) == (0.5, True)  # a map that knows nothing has three of four
    mostly_for = words(model, [1.0, 1.0, 1.0, -1.0])
    check = judged(model, mostly_for, text=[2, 0, 0, 1])
    assert (check.value, check.passed) == (0.5, False)


def test_the_class_decides_what_a_violation_is(model):
    tokens = words(model, [2.0, 1.0])
    assert judged(model, tokens, text=[1, 1]).value == 0.0
    assert judged(model, tokens, target=0, text=[1, 1]).value == 1.0


def test_a_token_that_changes_nothing_violates_nothing(model):
    assert judged(model, words(model, [2.0, 1.0]), text=[0, 0], image=np.eye(9)[3]).value == 0.0


def test_padding_and_scores_of_nothing_are_not_tried(model):
    tokens = words(model, [2.0, -1.0, 1.0])
    tokens["text"] = replace(tokens["text"], mask=torch.tensor([[True, False, True]]))
    check = judged(model, tokens, text=[1, 9, np.nan])
    assert check.value == 0.0
    assert check.sentence.startswith("0 of the 1")
    assert check.sentence.endswith("0 of 2 drawn at random")
    empty = judged(model, tokens, text=[0, 9, -1])
    assert math.isnan(empty.value)
    assert empty.passed is None
    assert empty.sentence == "this map finds no token that supports yes"


def test_maps_are_judged_together_as_they_would_be_alone():
    model, tokens = model_of(tiny_head("early")), random_tokens(1)
    before = {m: t.values.clone() for m, t in tokens.items()}
    maps = {
        "up": {m: np.arange(1.0, 1 + t.mask.shape[1]) for m, t in tokens.items()},
        "down": {m: np.arange(1.0 + t.mask.shape[1], 1, -1) for m, t in tokens.items()},
    }
    together = polarity_violations(model, tokens, "mine", 0, maps, k=4)
    alone = [polarity_violations(model, tokens, "mine", 0, {name: scores}, k=4)[0] for name, scores in maps.items()]
    assert list(together) == alone
    assert [c.name for c in together] == ["polarity_up", "polarity_down"]
    assert all(torch.equal(before[m], t.values) for m, t in tokens.items())
