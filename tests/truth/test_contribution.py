"""Known answers of `science.md` B and G for what holds over many records: EMAP, perceptual score, PID, MM-SHAP."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from fusion_core.contribute.emap import additive_exact, additive_sampled, emap
from fusion_core.contribute.imbalance import utilisation
from fusion_core.contribute.mm_shap import mm_shap, modality_shares
from fusion_core.contribute.perceptual import perceptual_score
from fusion_core.contribute.pid import (
    GAP,
    _conditional_entropy,
    _least_synergy,
    decompose,
    discretised,
    information,
    measured,
)
from fusion_core.errors import CallError
from fusion_core.fusion import Head, HeadOutput, HeadSettings, TokenSpec
from fusion_core.model import Background, FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import MODALITIES, Tokens
from tests.conftest import CLASSES, SpecsOnly, random_tokens

BITS = {m: TokenSpec(1, kind) for m, kind in zip(MODALITIES, ("words", "patches", "frames"), strict=True)}


class Rule(Head):
    """Answers `rule(text, image, audio)` of one bit per modality, with logits +-4."""

    def __init__(self, rule):
        super().__init__(BITS, 2, HeadSettings(width=2, heads=1))
        self.rule = rule

    def project(self, tokens):
        return dict(tokens)

    def combine(self, projected):
        bits = [(projected[m].values[:, 0, 0] > 0.5) & projected[m].mask[:, 0] for m in MODALITIES]
        truth = self.rule(*bits).float() * 2 - 1
        return HeadOutput(torch.stack([-4 * truth, 4 * truth], dim=1), {}, truth[:, None])


def posed(rule, records=8):
    """Return a perfect model of a rule and records that hold every combination of three bits equally often."""
    combinations = list(product((0, 1), repeat=3)) * records
    pools = {m: Tokens(torch.tensor([[[0.0]], [[1.0]]]), torch.ones(2, 1) > 0) for m in MODALITIES}
    index = {m: torch.tensor([c[k] for c in combinations]) for k, m in enumerate(MODALITIES)}
    labels = tuple(str(int(rule(*(torch.tensor(bool(b)) for b in c)))) for c in combinations)
    model = FusedModel("rule", ("0", "1"), SpecsOnly(BITS), {"rule": Rule(rule)}, {}, Background(pools), "rule")
    return model, TokenSet(pools, index, tuple(str(n) for n in range(len(labels))), labels)


def xor(t, i, a):
    return t ^ i


def test_the_golden_table_of_two_modalities():
    table = torch.tensor([[-1.3, 0.3, -0.2], [0.8, 3.0, 1.1], [1.1, -0.1, 0.7]]).double()
    found = additive_exact(lambda rows: table[rows["a"], rows["b"]][:, None], 3, ("a", "b"))
    assert found[:, 0].tolist() == pytest.approx([-0.8, 2.1, 0.5])


def test_three_modalities_lose_the_mean_twice():
    generator = torch.Generator().manual_seed(1)
    parts = [torch.randn(4, generator=generator).double() for _ in range(3)]

    def fuse(rows):
        return (parts[0][rows["a"]] + parts[1][rows["b"]] + parts[2][rows["c"]])[:, None]

    whole = fuse(dict.fromkeys("abc", torch.arange(4)))
    assert torch.allclose(additive_exact(fuse, 4, "abc"), whole)
    assert torch.allclose(additive_sampled(fuse, 4, "abc", 4000, 0)[0], whole, atol=0.08)


@pytest.mark.parametrize(
    ("rule", "additive_accuracy", "residual"),
    [(xor, 0.5, 1.0), (lambda t, i, a: t, 1.0, 0.0), (lambda t, i, a: t & i, 1.0, 1 / 3)],
    ids=["xor", "unique", "and"],
)
def test_emap_of_known_tasks(rule, additive_accuracy, residual):
    model, tokens = posed(rule, records=2)
    found = emap(model, tokens, "rule", mode="exact")
    assert found.accuracy == 1.0
    assert found.residual == pytest.approx(residual, abs=1e-6)
    assert found.additive_accuracy == additive_accuracy
    assert found.gap == 1.0 - additive_accuracy
    low, high = found.residual_interval
    assert low - 1e-9 <= found.residual <= high + 1e-9
    sampled = emap(model, tokens, "rule", mode="monte_carlo", donors=512)
    assert sampled.residual == pytest.approx(residual, abs=0.08)  # 16 records
    assert (sampled.mode, sampled.donors) == ("monte_carlo", 512)


@pytest.mark.parametrize(
    ("quarters", "gap", "residual"), [(0, 0.0, 0.0), (1, 0.0, 0.1), (2, 0.0, 0.5), (3, 0.25, 0.9), (4, 0.5, 1.0)]
)
@pytest.mark.parametrize("mode", ["exact", "monte_carlo"])
def test_a_mixture_of_xor_and_one_bit_has_a_residual_before_it_has_a_gap(quarters, gap, residual, mode):
    """Labels are the XOR with probability p, else the text's bit; f is the mean of both, signs +-1.

    Additive part (1 - p) t; residual p^2 / (p^2 + (1 - p)^2). At p = 1/2 f ties where they differ: any answer is right
    half the time.
    """
    p = quarters / 4
    model, tokens = posed(lambda t, i, a: p * (t ^ i).float() + (1 - p) * t.float())
    combinations = [c for c in product((0, 1), repeat=3) for _ in range(16 if mode == "monte_carlo" else 4)]
    each = len(combinations) // 8
    labels = [c[0] ^ c[1] if k % each < p * each else c[0] for k, c in enumerate(combinations)]
    index = {m: torch.tensor([c[k] for c in combinations]) for k, m in enumerate(MODALITIES)}
    tokens = TokenSet(tokens.pools, index, tuple(map(str, range(len(labels)))), tuple(map(str, labels)))
    found = emap(model, tokens, "rule", mode=mode)
    exact = mode == "exact"
    assert found.residual == pytest.approx(residual, abs=1e-6 if exact else 0.06)
    assert found.gap == pytest.approx(gap, abs=1e-6 if exact else 0.11)


@pytest.mark.parametrize("donors", [8, 64])
def test_the_noise_of_donors_is_not_mistaken_for_what_no_sum_gives(donors):
    """Of one bit alone nothing is left; uncorrected the residual would be 2 / donors, .25 and .03."""
    model, tokens = posed(lambda t, i, a: t, records=40)
    found = [emap(model, tokens, "rule", mode="monte_carlo", donors=donors, seed=seed) for seed in range(6)]
    assert np.mean([f.residual for f in found]) < 0.2 * 2 / donors
    assert all(f.residual_interval[0] <= 0.1 / donors for f in found)
    with pytest.raises(CallError, match="1 donors are too few"):
        emap(model, tokens, "rule", mode="monte_carlo", donors=1)


@pytest.mark.parametrize("name", ["late", "low_rank"])
def test_the_closed_form_is_the_brute_force(tiny_model, name):
    tokens = random_tokens(6, seed=4)
    own = {m: torch.arange(6) for m in MODALITIES}
    records = TokenSet(tokens, own, tuple("abcdef"), tuple(CLASSES[k % 3] for k in range(6)))
    closed, exact = (emap(tiny_model, records, name, mode=mode) for mode in ("closed", "exact"))
    assert closed.mode == "closed"
    assert closed.residual == pytest.approx(exact.residual, abs=1e-5)
    assert closed.additive_accuracy == exact.additive_accuracy
    head = tiny_model.heads[name]

    def fuse(rows):
        return head({m: tokens[m].rows(rows[m]) for m in MODALITIES}).logits.double()

    assert torch.allclose(head.additive(head.project(tokens)).double(), additive_exact(fuse, 6, MODALITIES), atol=1e-5)
    if name == "late":
        assert closed.residual == pytest.approx(0.0, abs=1e-9)


def test_emap_wants_whole_records_and_says_where_there_is_no_closed_form(tiny_model):
    model, tokens = posed(xor)
    with pytest.raises(CallError, match="EMAP needs records that have every modality"):
        emap(model, tokens.without("audio"), "rule")
    with pytest.raises(CallError, match="rule has no closed form"):
        emap(model, tokens, "rule", mode="closed")


def test_perceptual_scores_of_xor_are_half_half_and_nothing():
    model, tokens = posed(xor, records=100)
    slices = ["even" if int(t) % 2 == 0 else "odd" for t in tokens.index["audio"]]
    found = {m: perceptual_score(model, tokens, "rule", m, slices, permutations=10) for m in MODALITIES}
    assert [found[m].score for m in MODALITIES] == [pytest.approx(0.5, abs=0.04), pytest.approx(0.5, abs=0.04), 0.0]
    assert found["text"].interval[0] < 0.5 < found["text"].interval[1]
    # A partner of the same class has the other text bit half the time as well: the class does not tell the bit.
    assert found["text"].within_class == pytest.approx(0.5, abs=0.04)
    assert set(found["text"].slices) == {"even", "odd"}
    assert all(v == pytest.approx(0.5, abs=0.06) for v in found["text"].slices.values())
    assert all(low < 0.5 < high for low, high in found["text"].slice_intervals.values())
    with pytest.raises(CallError, match="3 slice values were given for 800 records"):
        perceptual_score(model, tokens, "rule", "text", ["a", "b", "c"])


def test_within_a_class_a_modality_that_is_the_class_brings_nothing():
    model, tokens = posed(lambda t, i, a: t, records=50)
    found = perceptual_score(model, tokens, "rule", "text")
    assert found.score == pytest.approx(0.5, abs=0.05)
    assert found.within_class == 0.0
    with pytest.raises(CallError, match="3 permutations are too few"):
        perceptual_score(model, tokens, "rule", "text", permutations=3)
    with pytest.raises(CallError, match="does not read smell"):
        perceptual_score(model, tokens, "rule", "smell")


def test_utilisation_of_xor_is_half_and_of_the_third_bit_nothing():
    model, tokens = posed(xor, records=50)
    # Without the text its bit reads 0: the answer is the image's bit, right half the time.
    found = utilisation(model, tokens, tokens, "rule", "text")
    assert (found.accuracy, found.without) == (1.0, 0.5)
    assert found.utilisation == pytest.approx(0.5)
    assert found.interval[0] < 0.5 < found.interval[1]
    assert found.probe == pytest.approx(0.5, abs=0.05)
    assert found.probe_interval[0] < 0.5 < found.probe_interval[1]
    assert found.given == ("image", "audio")
    assert utilisation(model, tokens, tokens, "rule", "audio").utilisation == 0.0
    # Without the image its bit reads 0, and the text's bit alone is right half the time: the audio adds nothing to it.
    pair = utilisation(model, tokens, tokens, "rule", "audio", given=["text"])
    assert (pair.given, pair.accuracy, pair.without, pair.utilisation) == (("text",), 0.5, 0.5, 0.0)
    assert utilisation(model, tokens, tokens, "rule", "image", given=["text"]).utilisation == pytest.approx(0.5)
    with pytest.raises(CallError, match="name others of text, image, audio"):
        utilisation(model, tokens, tokens, "rule", "text", given=["text"])


def noisy(first, second):
    """Return p(x1, x2, y): two copies of a fair bit y, flipped with these probabilities."""
    p = np.zeros((2, 2, 2))
    for a, b, y in product((0, 1), repeat=3):
        p[a, b, y] = 0.5 * (first if a != y else 1 - first) * (second if b != y else 1 - second)
    return p


def table_of(rule):
    p = np.zeros((2, 2, 2))
    for a, b in product((0, 1), repeat=2):
        p[a, b, rule(a, b)] = 0.25
    return p


@pytest.mark.parametrize(
    ("joint", "redundancy", "first", "second", "synergy"),
    [
        (table_of(lambda a, b: a ^ b), 0, 0, 0, 1),
        (table_of(lambda a, b: a & b), 0.3113, 0, 0, 0.5),
        (table_of(lambda a, b: a), 0, 1, 0, 0),
        (noisy(0.1, 0.1), 0.531, 0, 0, 0.211),
        (noisy(0.1, 0.02), 0.531, 0, 0.328, 0.049),
    ],
    ids=["xor", "and", "unique", "noisy copies", "unequal copies"],
)
def test_pid_in_bits(joint, redundancy, first, second, synergy):
    found = decompose(joint)
    parts = (found.redundancy, found.unique_first, found.unique_second, found.synergy)
    assert parts == pytest.approx((redundancy, first, second, synergy), abs=2e-3)


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 4, 3), (20, 20, 4)], ids=str)
def test_the_optimum_keeps_the_pair_marginals_and_no_feasible_step_beats_it(shape):
    """q' = q + t d keeps them for every d that is +1 -1 -1 +1 on a rectangle of one label: no such step gains."""
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.full(np.prod(shape), 0.3)).reshape(shape)
    q = _least_synergy(p)
    assert q.sum(axis=1) == pytest.approx(p.sum(axis=1), abs=1e-3)
    assert q.sum(axis=0) == pytest.approx(p.sum(axis=0), abs=1e-3)
    best = _conditional_entropy(q)
    assert best >= _conditional_entropy(p) - GAP
    for _ in range(300):
        (a, b), (c, d) = rng.choice(shape[0], 2, replace=False), rng.choice(shape[1], 2, replace=False)
        y = rng.integers(shape[2])
        step = rng.uniform() * min(q[a, d, y], q[b, c, y])
        moved = q.copy()
        moved[[a, b], [c, d], y] += step
        moved[[a, b], [d, c], y] -= step
        assert _conditional_entropy(moved) <= best + GAP


def test_pid_of_samples_loses_what_chance_gives():
    rng = np.random.default_rng(0)
    first, second, noise = rng.integers(4, size=(3, 600))
    y = (first % 2) ^ (second % 2)
    found, null, errors = measured(first, second, y)
    assert found.synergy == pytest.approx(1.0, abs=0.05)
    assert 0.0 < null.total < 0.05
    assert all(0.0 < error < 0.05 for error in errors)
    nothing = measured(first, second, noise % 2)[0]
    assert [nothing.synergy, nothing.redundancy, nothing.total] == pytest.approx([0, 0, 0], abs=0.03)


def test_clusters_find_the_groups_that_are_there():
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=300)
    features = rng.normal(size=(5, 30))[truth] * 10 + rng.normal(size=(300, 30))
    found = discretised(features, clusters=5)
    assert measured(found, found, truth)[0].redundancy == pytest.approx(np.log2(5), abs=0.1)


@pytest.mark.parametrize("about", ["labels", "answers"])
def test_two_bits_of_xor_are_all_synergy_whether_of_labels_or_of_answers(about):
    model, tokens = posed(xor, records=40)
    found = information(model, tokens, "rule", "text", "image", about)
    assert (found.clusters, found.records) == ((2, 2), 320)
    assert found.bits.synergy == pytest.approx(1.0, abs=0.02)
    assert [found.bits.redundancy, found.bits.unique_first, found.bits.unique_second] == pytest.approx(
        [0, 0, 0], abs=0.02
    )
    for part in ("redundancy", "unique_first", "unique_second", "synergy"):
        low, high = found.intervals[part]
        assert low <= getattr(found.bits, part) <= high
    with pytest.raises(CallError, match="name two of the model's modalities"):
        information(model, tokens, "rule", "text", "text")
    with pytest.raises(CallError, match="unknown target 'wishes'"):
        information(model, tokens, "rule", "text", "image", "wishes")


def test_mm_shap_of_an_additive_game_is_the_share_of_the_absolute_worths_and_has_a_floor():
    worth = np.array([3.0, -3.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    found = modality_shares(lambda kept: kept @ worth, {"text": 4, "image": 6}, groups=4)
    assert [f.share for f in found] == pytest.approx([6 / 8, 2 / 8])
    assert [f.even for f in found] == [0.5, 0.5]
    rng = np.random.default_rng(3)
    worths = [rng.normal(size=12) for _ in range(60)]  # heads that know nothing: as many tokens, the share is even
    floors = [modality_shares(partial(_weighed, w), {"text": 6, "image": 6})[0] for w in worths]
    assert np.mean([f.share for f in floors]) == pytest.approx(0.5, abs=0.05)
    random = [partial(_weighed, w) for w in worths[:5]]
    beside = mm_shap(lambda kept: kept @ np.repeat([1.0, 0.0], 6), random, {"text": 6, "image": 6})
    assert [share.share for share in beside.shares] == [1.0, 0.0]
    assert beside.floor["text"][0] < 0.5 < beside.floor["text"][1] < 1.0
    with pytest.raises(CallError, match="1 randomised heads are too few"):
        mm_shap(random[0], random[:1], {"text": 6, "image": 6})
    with pytest.raises(CallError, match="every modality needs a token"):
        modality_shares(lambda kept: kept.sum(1), {"text": 0, "image": 3})


def _weighed(worth, kept):
    return kept @ worth
