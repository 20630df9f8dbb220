"""Attribution methods against functions whose answer is known, and the rules all of them keep."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, GradientShap

from fusion_core.attribute import Problem, at_fusion, method
from fusion_core.errors import CallError
from fusion_core.question import Question, attribute
from fusion_core.types import MODALITIES
from tests.conftest import CLASSES, Whole, absent, random_tokens

COUNTS = {"text": 3, "image": 4}
EVERYWHERE = [name for name, about in method.items() if not about.only]
SUMS = ("integrated_gradients", "shapley_sampling", "kernel_shap")
EXACT_ON_LINEAR = ("integrated_gradients", "input_x_gradient", "feature_ablation", "shapley_sampling", "kernel_shap")


def posed(function, width=2, seed=0) -> Problem:
    """Pose `function(text [B, 3, D], image [B, 4, D])` on random values with baseline 0 and two donors."""
    generator = torch.Generator().manual_seed(seed)
    values = tuple(torch.randn(1, count, width, generator=generator) for count in COUNTS.values())
    return Problem(
        seam="fusion",
        modalities=tuple(COUNTS),
        forward=function,
        values=values,
        baselines=tuple(torch.zeros_like(v) for v in values),
        baseline_name="zero",
        to_tokens={m: lambda scores: scores.sum(dim=-1) for m in COUNTS},
        cells={m: torch.arange(count)[:, None].expand(count, width) for m, count in COUNTS.items()},
        grids={"text": None, "image": (2, 2)},
        scale=1.0,
        bytes_per_element=40,
        donors=tuple(torch.zeros(2, count, width) for count in COUNTS.values()),
    )


WEIGHTS = {m: torch.randn(count, 2, generator=torch.Generator().manual_seed(5)) for m, count in COUNTS.items()}


def linear(text, image):
    return (text * WEIGHTS["text"]).sum(dim=(1, 2)) + (image * WEIGHTS["image"]).sum(dim=(1, 2)) + 0.7


def ones(function) -> Problem:
    """Pose a game on players that are 1 or 0: every token is one number, 1 in the record and 0 at the baseline."""
    problem = posed(lambda text, image: function(torch.cat([text[..., 0], image[..., 0]], dim=1)), width=1)
    return replace(problem, values=tuple(torch.ones_like(v) for v in problem.values))


def joined(found: dict[str, torch.Tensor]) -> list[float]:
    return torch.cat([found[m].double() for m in COUNTS]).tolist()


@pytest.mark.parametrize("name", [*EXACT_ON_LINEAR, "gradient_shap"])
def test_on_a_linear_function_every_token_gets_its_weights_times_its_distance_from_the_baseline(name):
    problem = posed(linear)
    found = method[name].run(problem).tokens
    for m, value in zip(COUNTS, problem.values, strict=True):
        assert found[m].tolist() == pytest.approx((value[0] * WEIGHTS[m]).sum(-1).tolist(), abs=1e-5)


def test_smoothed_gradients_of_a_linear_function_are_input_x_gradient():
    problem = posed(linear)
    smooth, plain = (method[name].run(problem).tokens for name in ("smooth_grad", "input_x_gradient"))
    assert joined(smooth) == pytest.approx(joined(plain), abs=1e-5)


def test_a_window_of_two_words_scores_a_word_by_the_mean_of_both_windows_that_cover_it():
    found = method["occlusion"].run(ones(lambda x: x @ torch.tensor([1.0, 2, 4, 0, 0, 0, 8]))).tokens
    assert found["text"].tolist() == pytest.approx([(1 + 3) / 2, (3 + 6) / 2, (6 + 4) / 2])
    # The last of 2 x 2 cells is covered by itself, with one neighbour on either side, and by all four.
    assert float(found["image"][3]) == pytest.approx(8.0)
    assert float(found["image"][0]) == pytest.approx(8.0 / 4)


@pytest.mark.parametrize("name", ["shapley_sampling", "kernel_shap"])
def test_xor_of_three_players_gives_each_its_exact_share(name):
    def xor(x):
        bits = x[:, :3] > 0.5
        return (bits.sum(dim=1) % 2).float()

    found = method[name].run(ones(xor))
    # Exact: v of one = 1, of two = 0, of three = 1; each player 1/3 of the whole 1.
    off = np.abs(np.array(joined(found.tokens)) - np.array([1 / 3] * 3 + [0.0] * 4))
    assert (off <= 4 * np.array(joined(found.spread)) + 1e-9).all()
    assert max(joined(found.spread)) < 0.2
    assert sum(joined(found.tokens)) == pytest.approx(1.0, abs=1e-6)


def test_shapley_sampling_of_a_game_with_an_interaction_is_within_its_stated_spread_of_the_exact_values():
    def game(x):
        return x[:, 0] * x[:, 3] * 2 + x[:, 1] + x[:, 2] * x[:, 4] * x[:, 5]

    found = method["shapley_sampling"].run(ones(game))
    exact = [1.0, 1.0, 1 / 3, 1.0, 1 / 3, 1 / 3, 0.0]
    off = np.abs(np.array(joined(found.tokens)) - exact)
    assert (off <= 4 * np.array(joined(found.spread)) + 1e-9).all()
    assert off.max() < 0.15


def test_gradient_shap_averages_what_captum_averages():
    problem = posed(lambda text, image: (text.sum(dim=(1, 2)) * image.sum(dim=(1, 2))).tanh(), seed=3)
    problem = replace(problem, donors=tuple(0.3 * torch.ones(1, c, 2) for c in COUNTS.values()))
    found = method["gradient_shap"].run(problem)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = GradientShap(problem.forward).attribute(
            problem.values, baselines=problem.donors, n_samples=2000, stdevs=0.0
        )
    for m, score in zip(COUNTS, theirs, strict=True):
        allowed = 5 * found.spread[m] + 0.02
        assert ((found.tokens[m] - score[0].sum(-1)).abs() <= allowed).all()


def test_grad_cam_picks_the_cell_that_alone_drives_a_fixed_readout():
    problem = posed(lambda text, image: image[:, 2, 0] * 3.0 + 0 * text.sum(dim=(1, 2)))
    image = torch.zeros(1, 4, 2)
    image[0, 2] = torch.tensor([5.0, 1.0])
    found = method["grad_cam"].run(replace(problem, values=(problem.values[0], image)))
    assert list(found.tokens) == ["image"]
    assert int(found.tokens["image"].argmax()) == 2
    assert float(found.tokens["image"][2]) == pytest.approx(5.0 * 3.0 / 4)


def test_captum_leaves_a_modality_out_when_its_mask_has_the_same_ids_and_here_that_cannot_happen():
    problem = ones(lambda x: x.sum(dim=1))
    same_ids = tuple(torch.arange(v.shape[1])[None, :, None] for v in problem.values)
    trapped = FeatureAblation(problem.forward).attribute(problem.values, problem.baselines, feature_mask=same_ids)
    assert float(trapped[0][0, 0]) == 2.0  # word 1 and cell 1 went together: each is given the loss of both
    assert joined(method["feature_ablation"].run(problem).tokens) == pytest.approx([1.0] * 7)
    with pytest.raises(CallError, match="the mask has 3 tokens; the record has 7 here"):
        problem.kept(torch.ones(1, 3, dtype=torch.bool))


@pytest.mark.parametrize("name", SUMS)
def test_what_promises_a_sum_keeps_it(tiny_model, name):
    problem = at_fusion(tiny_model, random_tokens(1), "cross_attention", 1)
    found = method[name].run(problem)
    whole = float(problem.forward(*problem.values) - problem.forward(*problem.baselines))
    assert sum(float(v.sum()) for v in found.tokens.values()) == pytest.approx(whole, abs=0.05 * max(1.0, abs(whole)))
    assert found.error <= 0.05


PATTERNS = [set(kept) for size in (1, 2, 3) for kept in combinations(MODALITIES, size)]


def _named(part):
    return part if isinstance(part, str) else "+".join(sorted(part))


@pytest.mark.parametrize(("name", "kept"), list(product(EVERYWHERE, PATTERNS)), ids=_named)
def test_scores_are_finite_one_per_token_and_of_the_modalities_present_alone(tiny_model, name, kept):
    tokens = absent(random_tokens(1), *(set(MODALITIES) - kept))
    for strategy in ("early", "early_raw"):
        found = method[name].run(at_fusion(tiny_model, tokens, strategy, 2))
        assert set(found.tokens) == kept
        for m, scores in found.tokens.items():
            assert scores.shape == (tokens[m].mask.shape[1],)
            assert torch.isfinite(scores).all()


@pytest.mark.parametrize("name", list(method))
def test_the_same_seed_gives_the_same_numbers_and_no_global_generator_is_touched(tiny_model, name):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first, again = (method[name].run(at_fusion(tiny_model, random_tokens(1), "early", 0, seed=4)) for _ in range(2))
    assert all(torch.equal(first.tokens[m], again.tokens[m]) for m in first.tokens)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    if first.spread and name != "smooth_grad":
        other = method[name].run(at_fusion(tiny_model, random_tokens(1), "early", 0, seed=5))
        assert any(not torch.equal(first.tokens[m], other.tokens[m]) for m in first.tokens)


@pytest.mark.parametrize("name", list(method))
def test_a_method_spends_about_the_passes_it_planned(tiny_model, name):
    problem = at_fusion(tiny_model, random_tokens(1), "early", 0)
    planned = method[name].passes(problem)
    assert planned / 2 <= method[name].run(problem).evaluations <= 4 * planned + 4


def test_whoever_breaks_off_keeps_what_is_known_by_then(tiny_model):
    class Enough(Exception):
        pass

    heard = []

    def report(done, planned, partly):
        heard.extend(partly)
        if done > planned / 2:
            raise Enough

    question = Question(method="shapley_sampling", report=report)
    with pytest.raises(Enough):
        attribute(tiny_model, Whole(), random_tokens(1), "early", "yes", question)
    assert 0 < heard[-1].done <= 0.6
    assert heard[-1].spread["text"].shape == (5,)
    assert (heard[-1].spread["text"] > 0).any()


def test_a_contrast_of_two_classes_is_the_difference_of_their_attributions(tiny_model):
    tokens = random_tokens(1)
    yes, no, both = (
        attribute(tiny_model, Whole(), tokens, "late", target, Question(method="feature_ablation", against=against))[0]
        for target, against in (("yes", None), ("no", None), ("yes", "no"))
    )
    assert both.against == "no"
    for m in MODALITIES:
        assert both.scores[m] == pytest.approx(yes.scores[m] - no.scores[m], abs=1e-5)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question(against="perhaps"), "unknown target class 'perhaps'; the model has no, maybe, yes"),
        (Question(against="yes"), "'yes' cannot be contrasted with itself"),
        (Question(method="guess"), "unknown attribution method 'guess'; known: integrated_gradients"),
    ],
)
def test_a_wrong_question_says_what_is_allowed(tiny_model, question, words):
    with pytest.raises(CallError, match=words):
        attribute(tiny_model, Whole(), random_tokens(1), "late", "yes", question)


def test_grad_cam_says_where_it_works(tiny_model):
    tokens = absent(random_tokens(1), "image")
    with pytest.raises(CallError, match="grad_cam works at the fusion seam and explains image only"):
        attribute(tiny_model, Whole(), tokens, "late", CLASSES[0], Question(method="grad_cam"))


def test_a_batch_stays_within_the_memory_budget():
    problem = replace(posed(linear), bytes_per_element=10**8)
    assert problem.batch(64) == 1


def test_a_heavy_model_is_integrated_in_fewer_steps_and_says_by_how_much_it_is_off():
    def kinked(text, image):
        return (text.sum(dim=(1, 2)).abs() - 0.37).relu() * 50 + image.sum(dim=(1, 2)).sin()

    light = posed(kinked, seed=3)
    heavy = replace(light, bytes_per_element=100_000_000)
    run = method["integrated_gradients"].run
    assert run(posed(linear)).evaluations == 2 + 32
    assert run(replace(posed(linear), bytes_per_element=100_000_000)).evaluations == 2 + 16
    found = run(heavy)
    assert found.evaluations == 2 + 16 + 32
    assert found.error > 0.01
    assert run(light).error < found.error
