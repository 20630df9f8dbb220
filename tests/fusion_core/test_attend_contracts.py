"""What every strategy with attention keeps to, by being registered, and what every one without gives."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from fusion_core.attend import attention_scores
from fusion_core.attend.gradients import attention_gradients
from fusion_core.attend.joint import joint
from fusion_core.attend.rollout import carried
from fusion_core.attention import capture
from fusion_core.fusion import strategy
from fusion_core.types import MODALITIES
from tests.conftest import SPECS, absent, random_tokens, tiny_head
from tests.fusion_core.handmade import Streams, model_of

PATTERNS = [set(kept) for size in (1, 2, 3) for kept in combinations(MODALITIES, size)]


def streams(last_reads):
    torch.manual_seed(0)
    return Streams(last_reads)


def attends(head):
    with torch.no_grad(), capture() as tape:
        head(random_tokens(1))
    return any(captured.kind == "attention" for captured in tape.captured)


HEADS = {
    **{name: lambda name=name: tiny_head(name) for name in strategy if attends(tiny_head(name))},
    "streams": lambda: streams(False),
    "streams, last layer reads": lambda: streams(True),
}
WITHOUT = [name for name in strategy if name not in HEADS]


@pytest.fixture(params=HEADS)
def model(request):
    return model_of(HEADS[request.param]())


def only(tokens, kept):
    return absent(tokens, *(set(MODALITIES) - kept))


def test_both_kinds_of_strategy_are_walked():
    assert {"early", "cross_attention"} <= set(HEADS)
    assert {"late", "concat"} <= set(WITHOUT)


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
def test_scores_are_finite_and_of_the_modalities_present_alone(model, kept):
    found = attention_scores(model, only(random_tokens(1), kept), "mine", 1)
    assert {"rollout", "relevancy"} <= {f.method for f in found} <= {"raw", "rollout", "relevancy"}
    for scores in found:
        assert set(scores.scores) == set(scores.shares) == kept
        assert all(np.isfinite(s).all() and (s >= 0).all() for s in scores.scores.values())
        assert sum(s.mass for s in scores.shares.values()) == pytest.approx(1.0)
    assert "raw" in {f.method for f in found} or len(kept) == 1


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e6])
def test_values_of_an_absent_modality_cannot_change_a_score(model, kept, garbage):
    tokens = only(random_tokens(1), kept)
    replaced = {
        m: t if m in kept else t.each(lambda features: torch.full_like(features, garbage)) for m, t in tokens.items()
    }
    for a, b in zip(*(attention_scores(model, t, "mine", 1) for t in (tokens, replaced)), strict=True):
        assert all(np.array_equal(a.scores[m], b.scores[m]) for m in kept)


def test_padding_scores_nothing_and_changes_nothing(model):
    tokens = random_tokens(1)
    longer = {
        m: t
        if SPECS[m].grid
        else t.each(
            lambda features: torch.cat([features, torch.full_like(features, float("nan"))], 1),
            torch.cat([t.mask, torch.zeros_like(t.mask)], 1),
        )
        for m, t in tokens.items()
    }
    for a, b in zip(*(attention_scores(model, t, "mine", 1) for t in (tokens, longer)), strict=True):
        for m, scores in a.scores.items():
            assert b.scores[m][: len(scores)] == pytest.approx(scores, abs=1e-6)
            assert not b.scores[m][len(scores) :].any()
            assert b.shares[m].density == pytest.approx(a.shares[m].density, abs=1e-6)


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
def test_rollout_rows_add_up_to_one(model, kept):
    with torch.no_grad(), capture() as tape:
        model.fuse(only(random_tokens(1), kept), "mine")
    axis = joint(tape)
    rows = carried(axis, torch.eye(len(axis.exists), dtype=torch.double))
    torch.testing.assert_close(rows.sum(1), torch.ones(len(rows), dtype=torch.double), atol=1e-6, rtol=0)
    assert float(rows.min()) >= 0.0


def test_what_the_answer_is_read_from_is_what_the_last_step_updates(model):
    with torch.no_grad(), capture() as tape:
        model.fuse(random_tokens(1), "mine")
    axis = joint(tape)
    updated = {name for number in axis.steps[-1] for name, _ in axis.captured[number].query}
    assert set(model.head("mine").readout) <= updated


def test_only_relevancy_depends_on_the_class_and_nothing_on_chance(model):
    first, again, other = (attention_scores(model, random_tokens(1), "mine", t) for t in (0, 0, 2))
    for a, b, c in zip(first, again, other, strict=True):
        assert all(np.array_equal(a.scores[m], b.scores[m]) for m in MODALITIES)
        same = all(np.array_equal(a.scores[m], c.scores[m]) for m in MODALITIES)
        assert same == (a.method != "relevancy")
        assert (a.target, c.target) == ((None, None) if same else ("no", "yes"))


def test_gradients_are_those_of_the_centred_logit(model):
    tokens = random_tokens(1)
    tape, gradients = attention_gradients(model, tokens, "mine", 1)
    number = len(tape.captured) - 1
    step = 1e-3 * torch.sign(gradients[number])

    def moved(sign):
        heard = []

        def nudge(probe, weights, allowed):
            heard.append(probe)
            return weights + sign * step if len(heard) == number + 1 else weights

        with torch.no_grad(), capture(edit=nudge):
            logits = model.fuse(tokens, "mine")
        return float(logits[0, 1] - logits[0].mean())

    assert moved(1) - moved(-1) == pytest.approx(2e-3 * float(gradients[number].abs().sum()), rel=0.02)


def test_explaining_leaves_nothing_behind_in_the_model(model):
    before = model.fuse(random_tokens(1), "mine")
    tape, gradients = attention_gradients(model, random_tokens(1), "mine", 0)
    assert all(p.grad is None and not p.requires_grad for p in model.head("mine").parameters())
    assert not any(c.weights.requires_grad for c in tape.captured)
    assert len(gradients) == len(tape.captured)
    assert torch.equal(before, model.fuse(random_tokens(1), "mine"))


def test_gradients_are_found_where_the_caller_wants_none(model):
    with torch.no_grad():
        found = attention_scores(model, random_tokens(1), "mine", 0)
    assert any(s.any() for s in found[-1].scores.values())


def test_a_record_with_nothing_has_no_scores(model):
    assert attention_scores(model, absent(random_tokens(1), *MODALITIES), "mine", 0) == ()


@pytest.mark.parametrize("name", WITHOUT)
def test_a_strategy_without_attention_has_no_scores(name):
    assert attention_scores(model_of(tiny_head(name)), random_tokens(1), "mine", 0) == ()
