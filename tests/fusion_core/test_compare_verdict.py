"""The verdict: right on games whose answer is known, undecided on few records, and never for luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion_core.compare.fusing import fused
from fusion_core.compare.quality import answered, quality
from fusion_core.compare.result import StrategyCost, StrategyReport
from fusion_core.compare.usage import additive_part
from fusion_core.compare.verdict import cheapest_of_the_best, chosen_elsewhere, verdict
from fusion_core.contribute.emap import Emap
from fusion_core.fit import FitSettings, draw_background, train_head
from fusion_core.fusion import HeadSettings, TokenSpec
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens
from tests.conftest import SpecsOnly

CLASSES = ("0", "1")
GAMES = {
    "xor": lambda t, i: t ^ i,
    "additive": lambda t, i: (2 * t + i >= 2).long(),  # the text decides, whatever the image says
}
NAMES = ("late", "product_of_experts", "concat", "early")


def game(rule, count, seed):
    """Records of two bits, one in each modality's only token, beside four numbers of noise."""
    generator = torch.Generator().manual_seed(seed)
    bits = [torch.randint(2, (count,), generator=generator) for _ in range(2)]
    pools = {}
    for m, own in zip(("text", "image"), bits, strict=True):
        noise = 0.3 * torch.randn(count, 1, 4, generator=generator)
        values = torch.cat([2.0 * own[:, None, None] - 1, noise], dim=2)
        pools[m] = Tokens(values, torch.ones(count, 1) > 0)
    labels = tuple(str(int(v)) for v in rule(*bits))
    index = {m: torch.arange(count) for m in pools}
    return TokenSet(pools, index, tuple(str(k) for k in range(count)), labels)


@pytest.fixture(scope="module", params=GAMES)
def played(request):
    """A game's name and its model of four strategies."""
    specs = {"text": TokenSpec(5, "words"), "image": TokenSpec(5, "patches", (1, 1))}
    settings = FitSettings(epochs=12, patience=12, rate=1e-2, head=HeadSettings(24, 2, 1, 0.0))
    train, held = game(GAMES[request.param], 600, 1), game(GAMES[request.param], 200, 2)
    fits = {n: train_head(n, specs, CLASSES, train, held, settings) for n in NAMES}
    heads, fitted = ({n: part[k] for n, part in fits.items()} for k in (0, 1))
    # Late fusion of a XOR is at chance, and is judged all the same: that is the point.
    fitted = {n: replace(f, status="trained") for n, f in fitted.items()}
    model = FusedModel("game", CLASSES, SpecsOnly(specs), heads, fitted, draw_background(train, 0), "late")
    return request.param, model


def judged(model, tokens):
    truth = np.array([int(label) for label in tokens.labels])
    logits = dict(zip(model.strategies, fused(model, tokens), strict=True))
    reports = [
        StrategyReport(s, "trained", quality(own, truth), cost=StrategyCost(1000, 1.0, 0.1, 10.0 * k),
                       emap=additive_part(model, tokens, s))
        for k, (s, own) in enumerate(logits.items())
    ]  # fmt: skip
    return verdict(reports, {s: answered(own) == truth for s, own in logits.items()})


def test_xor_needs_interaction_and_a_sum_does_not(played):
    name, model = played
    found = judged(model, game(GAMES[name], 300, 3))
    if name == "xor":
        assert found.needs == "interaction"
        assert found.strategy in ("concat", "early")
        assert found.evidence["difference"].low > 0.3
    else:
        assert found.needs == "independent"
        assert found.strategy == "late"
        assert found.evidence["gap"].high < 0.05
    assert found.message.count("95 %") >= 2


def test_few_records_decide_nothing(played):
    name, model = played
    assert judged(model, game(GAMES[name], 6, 4)).needs == "undecided"


def right(share, count=200, seed=0):
    return np.random.default_rng(seed).random(count) < share


def report(name, operations=1.0, parameters=1, gap=None, status="trained"):
    measured = gap and Emap(0.9, 0.9 - gap[0], gap[0], gap[1:], 0.2, (0.1, 0.3), 200, "exact", 0)
    return StrategyReport(name, status, cost=StrategyCost(parameters, 1.0, 0.1, operations), emap=measured or None)


def test_both_measurements_must_agree():
    additive, relating = right(0.6, seed=1), right(0.95, seed=2)
    rights = {"late": additive, "early": relating}
    for gap, needs in (((0.3, 0.2, 0.4), "interaction"), ((0.0, -0.02, 0.02), "undecided"), (None, "undecided")):
        assert verdict([report("late"), report("early", gap=gap)], rights).needs == needs
    same = {"late": additive, "early": additive}
    for gap, needs in (((0.0, -0.02, 0.02), "independent"), ((0.1, 0.02, 0.2), "undecided")):
        assert verdict([report("late"), report("early", gap=gap)], same).needs == needs


def test_without_a_strategy_of_one_kind_the_verdict_says_what_it_can():
    rights = {"late": right(0.6), "early": right(0.9, seed=3)}
    assert verdict([report("late")], rights).needs == "undecided"
    assert verdict([report("early", gap=(0.3, 0.2, 0.4))], rights).needs == "interaction"
    assert verdict([report("late", status="chance")], rights) is None
    chance = [report("late"), report("early", gap=(0.3, 0.2, 0.4), status="chance")]
    assert verdict(chance, rights).strategy == "late"


def test_the_best_of_many_that_are_alike_gains_nothing():
    rights = {f"s{k}": right(0.7, 400, seed=k) for k in range(20)} | {"late": right(0.7, 400, seed=99)}
    relating = [report(f"s{k}") for k in range(20)]
    naive = max(rights[r.strategy].mean() for r in relating) - rights["late"].mean()
    found = chosen_elsewhere(relating, [report("late")], rights, 0)
    assert abs(found.value) < naive
    assert found.low < 0 < found.high


def test_the_cheapest_that_is_not_surely_worse_is_chosen():
    best = right(0.9)
    near, far = best.copy(), right(0.5, seed=5)
    near[np.flatnonzero(best)[:2]] = False
    rights = {"early": best, "gated": near, "late": far}
    reports = [report("early", 9.0), report("gated", 2.1), report("late", 0.1)]
    assert cheapest_of_the_best(reports, rights).strategy == "gated"
    alike = [report("early", 2.0, parameters=5), report("gated", 2.0, parameters=2), report("late", 0.1)]
    assert cheapest_of_the_best(alike, rights).strategy == "gated"


@pytest.mark.parametrize(("own", "kept"), [(0.5, False), (0.93, True), (1.0, True)], ids=["worse", "as good", "better"])
def test_an_original_is_replaced_only_by_what_is_surely_better_and_is_no_evidence(own, kept):
    rights = {"clip": right(own, seed=4), "late": right(0.6, seed=1), "early": right(0.95, seed=2)}
    reports = [report("late"), report("early", operations=5.0, gap=(0.3, 0.2, 0.4))]
    found = verdict([report("clip", operations=900.0, status="as loaded"), *reports], rights)
    alone = verdict(reports, {name: rights[name] for name in ("late", "early")})
    assert (found.needs, dict(found.evidence)) == (alone.needs, dict(alone.evidence))
    assert found.strategy == ("clip" if kept else alone.strategy)
    assert found.message.startswith(alone.message)
    assert "CLIP, the original as loaded" in found.message
    assert ("keep CLIP" in found.message) == kept


def test_a_model_that_was_not_fitted_decides_nothing_where_nothing_else_is_above_chance():
    rights = {"clip": right(0.02), "late": right(0.5, seed=1)}
    loaded = report("clip", gap=(0.0, -0.01, 0.01), status="as loaded")
    assert verdict([loaded, report("late", status="chance")], rights) is None
    assert verdict([loaded], rights) is None
