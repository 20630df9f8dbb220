"""Is a map true? Against heads that add up, where the right order of tokens is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.errors import CallError
from fusion_core.fusion import Head, HeadOutput, HeadSettings
from fusion_core.model import Background, FusedModel
from fusion_core.types import MODALITIES
from fusion_core.verify.faithfulness import ORDERS, judge, removal_table
from tests.conftest import CLASSES, LENGTHS, SPECS, SpecsOnly, absent, random_tokens

SETTINGS = HeadSettings(width=24, heads=2)


class Adds(Head):
    """The logit of "yes" is the sum over all tokens of a fixed readout; every token's exact worth is known."""

    def __init__(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            super().__init__(SPECS, len(CLASSES), SETTINGS)

    def worth(self, projected):
        return {m: projected[m].values[..., 0].masked_fill(~projected[m].mask, 0.0) for m in MODALITIES}

    def combine(self, projected):
        total = sum(w.sum(dim=1) for w in self.worth(projected).values())
        logits = torch.stack([torch.zeros_like(total), torch.zeros_like(total), total], dim=1)
        return HeadOutput(logits, {}, total[:, None])


@pytest.fixture(scope="module")
def model():
    return FusedModel(
        "adds", CLASSES, SpecsOnly(SPECS), {"adds": Adds()}, {}, Background(random_tokens(8, seed=9)), "adds"
    )


def oracle(model, tokens):
    """Return what each token is really worth: its readout, minus that of the mean token in its place."""
    head = model.heads["adds"]
    means = {m: t.put("tokens", model.background.mean_token(m).expand_as(t.values)) for m, t in tokens.items()}
    own, fill = (head.worth(head.project(t)) for t in (tokens, means))
    return {m: (own[m] - fill[m])[0].detach().numpy() for m in MODALITIES if bool(tokens[m].mask.any())}


def test_a_removed_token_is_the_mean_token_or_none_and_projecting_once_changes_nothing(tiny_model):
    tokens = random_tokens(1)
    for strategy in tiny_model.strategies:
        table = removal_table(tiny_model, tokens, strategy, 2)
        kept = np.ones((1, len(table.removal.places)), dtype=bool)
        kept[0, [0, 6, 15]] = False  # the first word, the second cell, the second frame
        level = tiny_model.heads[strategy].level
        changed = {m: t.each(torch.clone) for m, t in tokens.items()}
        for m, index in (("text", 0), ("image", 1), ("audio", 1)):
            changed[m].at(level)[0, index] = tiny_model.background.mean_token(m, level)
        with torch.no_grad():
            logits = tiny_model.fuse(changed, strategy)[0].double()
        assert table.removal.values(kept)[0] == pytest.approx(float(logits[2] - logits.mean()), abs=1e-5)
        masked = removal_table(tiny_model, tokens, strategy, 2, policy="missing").removal
        gone = {m: t.each(torch.clone, t.mask.clone()) for m, t in tokens.items()}
        for m, index in (("text", 0), ("image", 1), ("audio", 1)):
            gone[m].mask[0, index] = False
        with torch.no_grad():
            logits = tiny_model.fuse(gone, strategy)[0].double()
        assert masked.values(kept)[0] == pytest.approx(float(logits[2] - logits.mean()), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_true_worth_of_tokens_is_trusted_and_its_reverse_is_not(model, seed):
    tokens = random_tokens(1, seed=seed)
    table = removal_table(model, tokens, "adds", 2, seed=seed)
    true = oracle(model, tokens)
    whole, *each = judge(table, true)
    assert (whole.scope, whole.badge, whole.orders) == ("all", "trusted", ORDERS)
    assert {f.scope for f in each} == set(MODALITIES)
    assert whole.sensitivity == pytest.approx(1.0, abs=1e-6)
    assert whole.comprehensiveness > 0
    (reverse, *_) = judge(table, {m: -scores for m, scores in true.items()})
    assert reverse.badge == "random"
    assert reverse.deletion.area > whole.deletion.area_high
    assert reverse.sensitivity == pytest.approx(-1.0, abs=1e-6)


def test_the_curves_begin_and_end_where_they_must(model):
    tokens = random_tokens(1)
    table = removal_table(model, tokens, "adds", 2)
    (found, *_) = judge(table, oracle(model, tokens))
    ends = table.removal.values(np.array([[True] * 18, [False] * 18]))
    for curve, first, last in ((found.deletion, *ends), (found.insertion, *ends[::-1])):
        assert (curve.moved[0], curve.moved[-1]) == (0.0, 1.0)
        assert [curve.values[0], curve.values[-1]] == pytest.approx([first, last])
        assert (curve.low <= curve.high).all()
        assert curve.low[0] == pytest.approx(curve.high[0])


def test_random_maps_are_seldom_trusted(model):
    rng = np.random.default_rng(0)
    badges = []
    for seed in range(20):
        table = removal_table(model, random_tokens(1, seed=seed), "adds", 2, seed=seed)
        badges += [judge(table, {m: rng.normal(size=LENGTHS[m]) for m in MODALITIES})[0].badge for _ in range(10)]
    # Beyond all of 20 exchangeable orders: 1 in 21 for a curve by chance, and the two curves are nearly the same here.
    assert badges.count("trusted") <= 0.1 * len(badges)
    assert badges.count("random") >= 0.85 * len(badges)


def test_equal_scores_are_no_order(model):
    badges = []
    for seed in range(20):
        table = removal_table(model, random_tokens(1, seed=seed), "adds", 2, seed=seed)
        found = judge(table, {m: np.ones(LENGTHS[m]) for m in MODALITIES})[0]
        assert found.sensitivity is None
        badges.append(found.badge)
    assert badges.count("random") >= 17


def test_a_score_that_is_no_number_comes_last(model):
    tokens = random_tokens(1)
    table = removal_table(model, tokens, "adds", 2)
    true = oracle(model, tokens)
    best = int(np.argmax(true["image"]))
    spoiled = {**true, "image": np.where(np.arange(9) == best, np.nan, true["image"])}
    lowest = {**true, "image": np.where(np.arange(9) == best, -1e9, true["image"])}
    first, second = (judge(table, scores)[0] for scores in (spoiled, lowest))
    assert first.deletion.values == pytest.approx(second.deletion.values)


def test_absent_modalities_are_not_moved_and_a_lone_modality_is_judged_once(model):
    tokens = absent(random_tokens(1), "image", "audio")
    found = judge(removal_table(model, tokens, "adds", 2), oracle(model, tokens))
    assert [f.scope for f in found] == ["all"]
    assert len(found[0].deletion.moved) == LENGTHS["text"] + 1


def test_the_same_seed_gives_the_same_band_and_an_unknown_policy_is_named(model):
    first, again = (removal_table(model, random_tokens(1), "adds", 2, seed=3) for _ in range(2))
    assert np.array_equal(first.scopes[0].band, again.scopes[0].band)
    with pytest.raises(CallError, match="unknown removal policy 'zero'; allowed: mean, missing"):
        removal_table(model, random_tokens(1), "adds", 2, policy="zero")


@pytest.mark.parametrize("scope", ["all", "text"])
def test_the_sentence_names_the_tokens_the_orders_and_what_stands_in(model, scope):
    tokens = random_tokens(1)
    found = {f.scope: f for f in judge(removal_table(model, tokens, "adds", 2), oracle(model, tokens))}[scope]
    assert "20 random orders" in found.sentence
    assert "the background's mean token" in found.sentence
    assert ("all modalities" if scope == "all" else "text") in found.sentence
