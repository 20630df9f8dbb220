"""Is a map true? Against heads that add up, where the right order of tokens is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.errors import CallError, RecordError
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


def random_maps(rng, count):
    return [{m: rng.normal(size=LENGTHS[m]) for m in MODALITIES} for _ in range(count)]


def test_random_maps_are_trusted_as_seldom_as_chance_says(model):
    rng = np.random.default_rng(0)
    badges = []
    for seed in range(250):
        table = removal_table(model, random_tokens(1, seed=seed), "adds", 2, seed=seed, each=False)
        badges += [judge(table, scores)[0].badge for scores in random_maps(rng, 6)]
    # Where tokens add up, a map, its reverse, 20 orders and their reverses are 42 orders: trusted is the lowest.
    # The margin is three standard errors of 1,500 maps; were one curve enough for trust, 1 in 21 would break it.
    assert badges.count("trusted") / len(badges) == pytest.approx(1 / 42, abs=0.012)
    assert badges.count("weak") / len(badges) == pytest.approx(1 / 21, abs=0.017)


def test_random_maps_are_seldom_trusted_under_any_strategy(tiny_model):
    rng = np.random.default_rng(0)
    badges = []
    for strategy in tiny_model.strategies:
        for seed in range(5):
            table = removal_table(tiny_model, random_tokens(1, seed=seed), strategy, 2, seed=seed, each=False)
            badges += [judge(table, scores)[0].badge for scores in random_maps(rng, 4)]
    assert badges.count("trusted") <= len(badges) / 21
    assert badges.count("weak") <= 2 * len(badges) / 21


@pytest.mark.parametrize("score", [1.0, np.nan, -np.inf])
def test_equal_scores_are_no_order(model, score):
    for seed in range(20):
        table = removal_table(model, random_tokens(1, seed=seed), "adds", 2, seed=seed)
        found = judge(table, {m: np.full(LENGTHS[m], score) for m in MODALITIES})
        assert {f.badge for f in found} == {"random"}
        assert {f.sensitivity for f in found} == {None}
        assert found[0].sentence.startswith("This map scores all tokens alike")


def test_tokens_of_equal_score_are_ordered_by_the_seed_and_not_by_their_place(model):
    tokens = random_tokens(1)
    image = {m: np.zeros(LENGTHS[m]) + (m == "image") for m in MODALITIES}
    first, again, other = (
        judge(removal_table(model, tokens, "adds", 2, seed=seed), image)[0].deletion.values for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert first[-1] == pytest.approx(other[-1])
    assert first[1] != pytest.approx(other[1])


@pytest.mark.parametrize("lengths", [LENGTHS, {"text": 12, "image": 9, "audio": 4}])
def test_the_reverse_order_is_the_insertion_read_backwards(model, lengths):
    tokens = random_tokens(1, lengths=lengths)
    table = removal_table(model, tokens, "adds", 2)
    true = oracle(model, tokens)
    whole, reverse = judge(table, true)[0], judge(table, {m: -s for m, s in true.items()})[0]
    assert reverse.deletion.values == pytest.approx(whole.insertion.values[::-1])
    assert reverse.deletion.area == pytest.approx(whole.insertion.area)
    assert whole.insertion.moved == pytest.approx(1 - whole.deletion.moved[::-1])


def test_the_insertion_band_is_that_of_random_insertions_of_as_many_tokens(model):
    tokens = random_tokens(1, lengths={"text": 12, "image": 9, "audio": 4})  # 25: steps of 2 and of 3 tokens
    table = removal_table(model, tokens, "adds", 2, each=False)
    (found,) = judge(table, oracle(model, tokens))
    given = np.round(found.insertion.moved * 25).astype(int)
    kept = np.stack([np.isin(np.arange(25), np.arange(25)[:count]) for count in given])
    assert kept.sum(axis=1).tolist() == (25 - table.scopes[0].counts[::-1]).tolist()
    assert found.insertion.high == pytest.approx(table.scopes[0].band.max(axis=0)[::-1])


class Deaf(Adds):
    """Answers the same whatever it is given."""

    def worth(self, projected):
        return {m: 0.0 * w for m, w in super().worth(projected).items()}


class Breaks(Adds):
    """Answers with NaN once a token is missing."""

    def combine(self, projected):
        output = super().combine(projected)
        whole = torch.stack([t.mask.all(dim=1) for t in projected.values()]).all(dim=0)
        return HeadOutput(torch.where(whole[:, None], output.logits, torch.nan), {}, output.fused)


def model_with(head):
    return FusedModel("odd", CLASSES, SpecsOnly(SPECS), {"odd": head}, {}, Background(random_tokens(8, seed=9)), "odd")


def test_no_map_is_true_of_a_head_that_hears_nothing():
    table = removal_table(model_with(Deaf()), random_tokens(1), "odd", 2)
    found = judge(table, random_maps(np.random.default_rng(0), 1)[0])
    assert {f.badge for f in found} == {"random"}
    assert {f.sensitivity for f in found} == {None}


def test_rounding_makes_no_map_true(model):
    near = {m: t.put("tokens", model.background.mean_token(m) + 1e-7 * t.values) for m, t in random_tokens(1).items()}
    badge = judge(removal_table(model, near, "adds", 2), oracle(model, near))[0].badge
    assert badge == "random"  # what stands in is what was there


def test_a_head_that_breaks_without_tokens_is_an_error_and_no_badge():
    with pytest.raises(RecordError, match="answered with NaN"):
        removal_table(model_with(Breaks()), random_tokens(1), "odd", 2, policy="missing")


def test_random_subsets_are_many_and_those_of_the_band_are_answered_once(model, monkeypatch):
    head, asked = model.heads["adds"], []
    combine = head.combine

    def counted(projected):
        asked.append(len(projected["text"].mask))
        return combine(projected)

    monkeypatch.setattr(head, "combine", counted)
    table = removal_table(model, random_tokens(1), "adds", 2, each=False)
    (whole,) = table.scopes
    assert whole.subsets.shape == (100, 18)
    assert set(whole.subsets.sum(axis=1)) == {4}  # 20 % of 18
    assert sum(asked) <= 2 + ORDERS * (len(whole.counts) - 2) + 80
    full = table.removal.values(np.ones((1, 18), dtype=bool))
    assert whole.drops == pytest.approx(full - table.removal.values(~whole.subsets))


def test_donors_are_tokens_of_the_background_the_same_for_a_seed(tiny_model):
    tokens = random_tokens(1)
    for strategy in ("late", "early_raw"):
        head = tiny_model.heads[strategy]
        first, again, other = (
            removal_table(tiny_model, tokens, strategy, 2, seed=seed, policy="donors", each=False).removal
            for seed in (0, 0, 1)
        )
        places = {m: t.values - head.front[m].position(t.mask.shape[1]) for m, t in first.fill.items()}
        for m, drawn in places.items():
            pool = head.project(tiny_model.background.tokens)[m].values - head.front[m].position(LENGTHS[m])
            distance = (drawn[0, :, None] - pool.flatten(0, 1)[None]).abs().amax(dim=-1)
            assert float(distance.amin(dim=1).max()) < 1e-5
            assert torch.equal(first.fill[m].values, again.fill[m].values)
            assert not torch.equal(first.fill[m].values, other.fill[m].values)
        assert first.values(np.zeros((1, 18), dtype=bool)) != pytest.approx(first.values(np.ones((1, 18), dtype=bool)))


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
    with pytest.raises(CallError, match="unknown removal policy 'zero'; allowed: mean, missing, donors"):
        removal_table(model, random_tokens(1), "adds", 2, policy="zero")


@pytest.mark.parametrize("scope", ["all", "text"])
def test_the_sentence_names_the_tokens_the_orders_and_what_stands_in(model, scope):
    tokens = random_tokens(1)
    found = {f.scope: f for f in judge(removal_table(model, tokens, "adds", 2), oracle(model, tokens))}[scope]
    assert "20 random orders" in found.sentence
    assert "the background's mean token" in found.sentence
    assert ("all modalities" if scope == "all" else "text") in found.sentence
