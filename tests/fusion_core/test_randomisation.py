"""A map must change with the head's weights: against maps whose answer to that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.errors import CallError
from fusion_core.fusion import HeadSettings, strategy
from fusion_core.model import Background, Fitted, FusedModel
from fusion_core.types import MODALITIES
from fusion_core.verify.randomisation import FEWEST, HEADS, randomisation, randomised
from tests.conftest import CLASSES, SPECS, SpecsOnly, random_tokens

LONG = {"text": 20, "image": 9, "audio": 12}


def test_only_the_head_is_drawn_anew_and_nothing_shared_is_touched(tiny_model):
    for name in tiny_model.strategies:
        head = tiny_model.heads[name]
        before = {key: value.clone() for key, value in head.state_dict().items()}
        state = torch.get_rng_state()
        fresh = randomised(tiny_model, name, seed=4)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(before[key], value) for key, value in head.state_dict().items())
        assert (fresh.stack, fresh.background) == (tiny_model.stack, tiny_model.background)
        assert fresh.strategies == (name,)
        assert type(fresh.heads[name]) is type(head)
        assert fresh.heads[name].parameter_count() == head.parameter_count()
        tokens = random_tokens(1)
        same, other = (randomised(tiny_model, name, seed=seed).fuse(tokens, name) for seed in (4, 5))
        assert torch.equal(fresh.fuse(tokens, name), same)
        assert not torch.allclose(same, other)
        assert not torch.allclose(same, tiny_model.fuse(tokens, name))


def test_a_random_head_does_not_begin_where_the_trained_one_began():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        began = strategy["late"](SPECS, len(CLASSES), HeadSettings(width=24, heads=2))
    fitted = Fitted("late", 1, 0.9, (0.8, 0.95), 50, 100, 0.4, "trained", 0, 0.1)
    background = Background(random_tokens(8, seed=9))
    model = FusedModel("m", CLASSES, SpecsOnly(SPECS), {"late": began}, {"late": fitted}, background, "late")
    ours, theirs = (one.heads["late"].front["text"].linear.weight for one in (randomised(model, "late", 0), model))
    assert not torch.equal(ours, theirs)


def test_a_strategy_the_model_lacks_is_named(tiny_model):
    with pytest.raises(CallError, match="strategy 'none' is not in model 'tiny'"):
        randomised(tiny_model, "none")


def check(model, tokens, explain):
    return randomisation(explain, model, "late", name="mine")


def readout(tokens):
    """Return a map that is made of the head's weights: each token through its modality's first projected number."""

    def explain(model):
        projected = model.heads["late"].project(tokens)
        return {m: projected[m].values[0, :, 0].detach().numpy() for m in MODALITIES}

    return explain


def size(tokens):
    """Return a map that knows the input only."""
    return lambda model: {m: tokens[m].values[0].norm(dim=1).numpy() for m in MODALITIES}


def test_a_map_made_of_the_weights_passes_and_one_made_of_the_input_fails(tiny_model):
    tokens = random_tokens(1, lengths={"text": 40, "image": 9, "audio": 40})
    passed, failed = check(tiny_model, tokens, readout(tokens)), check(tiny_model, tokens, size(tokens))
    assert (passed.name, passed.passed, failed.passed) == ("randomisation_mine", True, False)
    assert passed.value < 0.3
    assert failed.value == pytest.approx(1.0)
    assert "changes with the head's weights" in passed.sentence
    assert "looks much the same for heads of random weights" in failed.sentence
    assert f"with {HEADS} random heads, limit 0.3" in failed.sentence


def test_a_map_turned_around_is_still_the_same_map(tiny_model):
    tokens = random_tokens(1, lengths=LONG)
    signs = iter([1.0, 1.0, -1.0, 1.0])  # the map itself, then three random heads

    def explain(model):
        sign = next(signs)
        return {m: sign * scores for m, scores in size(tokens)(model).items()}

    found = check(tiny_model, tokens, explain)
    assert found.value == pytest.approx(1.0)
    assert found.passed is False


def test_a_random_heads_flat_map_agrees_with_nothing(tiny_model):
    tokens = random_tokens(1, lengths=LONG)
    flat = {m: np.ones(LONG[m]) for m in MODALITIES}
    found = check(tiny_model, tokens, lambda model: size(tokens)(model) if model is tiny_model else flat)
    assert (found.value, found.passed) == (0.0, True)


@pytest.mark.parametrize(
    ("lengths", "flat", "why"),
    [(LONG, True, "the same for all tokens"), ({"text": 5, "image": 9, "audio": 9}, False, f"23 tokens of {FEWEST}")],
)
def test_flat_and_short_maps_cannot_be_told(tiny_model, lengths, flat, why):
    tokens = random_tokens(1, lengths=lengths)
    asked = []

    def explain(model):
        asked.append(model)
        return {m: 0.0 * s if flat else s for m, s in size(tokens)(model).items()}

    found = check(tiny_model, tokens, explain)
    assert np.isnan(found.value)
    assert found.passed is None
    assert why in found.sentence
    assert asked == [tiny_model]  # no random head was worked out for nothing


def test_a_score_that_is_no_number_counts_as_none(tiny_model):
    tokens = random_tokens(1, lengths=LONG)

    def explain(model):
        scores = size(tokens)(model)
        scores["text"] = np.where(np.arange(LONG["text"]) == 3, np.nan, scores["text"])
        return scores

    assert check(tiny_model, tokens, explain).value == pytest.approx(1.0)
