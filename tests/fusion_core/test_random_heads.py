"""Every kind of map is compared with heads of random weights, through one function each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core import random_heads
from fusion_core.attend import attention_scores
from fusion_core.errors import CallError
from fusion_core.question import Question, attribute
from fusion_core.random_heads import attribution_check, raw_check, view_check
from tests.conftest import CLASSES, Whole, random_tokens

LONG = {"text": 20, "image": 9, "audio": 12}


@pytest.fixture
def tokens():
    return random_tokens(1, lengths=LONG)


def by_method(model, tokens, name):
    found = attribute(model, Whole(), tokens, "early", CLASSES[0], Question(method=name))
    return attribution_check(model, Whole(), tokens, "early", found[0])


def test_views_of_attention_are_tested(tiny_model, tokens):
    for view in attention_scores(tiny_model, tokens, "early", 1):
        check = view_check(tiny_model, tokens, "early", view)
        assert check.name == f"randomisation_{view.method}"
        assert 0.0 <= check.value <= 1.0
        assert check.passed is (check.value < 0.3)


def test_one_heads_raw_map_is_tested(tiny_model, tokens):
    def read(attention):
        (own,) = (a for a in attention if (a.layer, a.query, a.key) == (0, "cls", "text"))
        return {"text": np.tile(own.weights[0].sum(0), 2)}

    check = raw_check(tiny_model, Whole(), tokens, "early", read)
    assert check.name == "randomisation_raw"
    assert np.isfinite(check.value)


def test_an_attribution_is_tested_by_the_method_that_made_it(tiny_model, tokens):
    first, second = (by_method(tiny_model, tokens, "input_x_gradient") for _ in range(2))
    assert (first.name, first.value) == ("randomisation_input_x_gradient", second.value)
    assert first.passed is (first.value < 0.3)
    state = torch.get_rng_state()
    by_method(tiny_model, tokens, "input_x_gradient")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_dear_method_is_left_untested_and_says_so(tiny_model, tokens, monkeypatch):
    monkeypatch.setattr(random_heads, "MOST_PASSES", 100)
    check = by_method(tiny_model, tokens, "shapley_sampling")
    assert (np.isnan(check.value), check.passed) == (True, None)
    assert "above 100 that is left out" in check.sentence


def test_a_class_the_model_lacks_is_refused(tiny_model, tokens):
    with pytest.raises(CallError, match="unknown target class"):
        attribute(tiny_model, Whole(), tokens, "early", "purple", Question())
