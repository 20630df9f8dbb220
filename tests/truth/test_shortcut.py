"""A planted shortcut: a cue that equals the label in training is found by maps, by swapping it, and by reversing it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.attribute import at_input, method
from fusion_core.types import MODALITIES, Record
from tests.truth.carriers import covered, one, pool, records
from tests.truth.conftest import FRESH_RECORDS, fitted

ASKED = 6
TRAIN_RECORDS = {"text": 600, "image": 1_000, "audio": 600}  # a patch of 6 x 6 pixels is harder to learn
FAR_ABOVE = {"text": 3.0, "image": 3.0, "audio": 1.8}  # the audio encoder spreads 50 ms over its neighbours
STRATEGY = {"text": "concat", "image": "cross_attention", "audio": "concat"}
NEVER, OFTEN = 0.5, 0.95
FRESH = 12  # seed of the fresh carriers with a cue


def rule(t, i, a):
    """The bits say nothing: only the cue knows the label."""
    return torch.full_like(t, 0, dtype=torch.double) + 0.5


@pytest.fixture(scope="module")
def cued_pools(stack, pools):
    """Carriers of which one modality holds a cue as well; rows 2k and 2k + 1 differ in the cue alone."""
    made = {m: (pool(stack, m, 80, 11, cued=True), pool(stack, m, 40, FRESH, cued=True)) for m in MODALITIES}
    return {m: tuple({**pools[k], m: made[m][k]} for k in (0, 1)) for m in MODALITIES}


@pytest.fixture(scope="module")
def taught(stack, cued_pools):
    """Return a head per modality and per probability that the cue equals the label in training."""
    return {
        (m, p): fitted(stack, cued_pools[m], rule, STRATEGY[m], {m: p}, TRAIN_RECORDS[m])
        for m in MODALITIES
        for p in (OFTEN, NEVER)
    }


def answers(trained, tokens):
    with torch.no_grad():
        return trained.model.fuse(tokens.batch(torch.arange(len(tokens))), trained.strategy).argmax(dim=1)


def swapped(trained, modality):
    """Return the share of fresh records whose answer changes when the cue alone does."""
    tokens = trained.fresh
    other = {**tokens.index, modality: tokens.index[modality] ^ 1}
    turned = type(tokens)(tokens.pools, other, tokens.ids, tokens.labels)
    return float((answers(trained, tokens) != answers(trained, turned)).double().mean())


@pytest.mark.parametrize("modality", MODALITIES)
def test_swapping_the_cue_flips_the_answer_and_reversing_it_costs_the_accuracy(taught, modality):
    trained = taught[modality, OFTEN]
    agreeing, reversed_ = (
        records(trained.pools, rule, FRESH_RECORDS, 7, {modality: p})[0] for p in (OFTEN, 1.0 - OFTEN)
    )
    assert trained.accuracy(agreeing) >= 0.85  # the cue is right in 95 %
    assert trained.accuracy(reversed_) <= 0.15
    assert swapped(trained, modality) > 0.9


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_head_that_was_taught_none_shows_none(taught, modality):
    trained = taught[modality, NEVER]
    assert trained.accuracy() == pytest.approx(0.5, abs=0.1)
    assert trained.model.fitted[trained.strategy].status == "chance"


@pytest.mark.parametrize("modality", MODALITIES)
def test_maps_of_what_was_written_seen_and_heard_lie_on_the_cue(taught, modality):
    """At the input seam: behind the encoders every token has heard of the cue, and nothing there tells where it was."""
    trained = taught[modality, OFTEN]
    masses, areas = [], []
    for row in range(ASKED):
        made = {
            m: one(m, int(trained.fresh.index[m][row]), FRESH if m == modality else 2, cued=m == modality)
            for m in MODALITIES
        }
        record = Record("r", **{m: getattr(made[m].record, m) for m in MODALITIES})
        inputs, tokens = trained.model.encode_record(record)
        answer = int(trained.model.fuse(tokens, trained.strategy).argmax())
        problem = at_input(trained.model, inputs, tokens, trained.strategy, answer, (modality,))
        found = method["occlusion" if modality == "image" else "integrated_gradients"].run(problem)
        cue = (covered(inputs.axes(0)[modality], made[modality].cue_place) > 0).numpy()
        size = np.abs(found.tokens[modality].numpy())
        masses.append(size[cue].sum() / size.sum())
        areas.append(cue.mean())
    assert np.mean(masses) >= FAR_ABOVE[modality] * np.mean(areas)
