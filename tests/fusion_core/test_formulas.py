"""Each fusion strategy does what its formula says, computed by hand on a tiny head."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from fusion_core.attend.gates import gate_checks
from fusion_core.attend.raw import attention_maps
from fusion_core.attention import capture, uniform
from fusion_core.fusion import HeadSettings, TokenSpec, strategy
from fusion_core.fusion.head import masked_mean
from fusion_core.question import Question
from fusion_core.trace import trace_strategies
from fusion_core.types import MODALITIES, Inputs, ModalityInputs, Record, TokenAxis, Tokens
from tests.conftest import CLASSES, LENGTHS, SPECS, absent, random_tokens, tiny_head

PATTERNS = [set(kept) for size in (0, 1, 2, 3) for kept in combinations(MODALITIES, size)]
WIDE = {
    "text": TokenSpec(384, "words", raw=384),
    "image": TokenSpec(1280, "patches", (7, 7), raw=320),
    "audio": TokenSpec(384, "frames", raw=160),
}


def only(tokens, kept):
    return absent(tokens, *(set(MODALITIES) - kept))


def other_values(tokens, *modalities, seed=7):
    """Return the tokens with fresh values in some modalities."""
    fresh = random_tokens(len(tokens["text"].mask), seed)
    return {m: replace(fresh[m], mask=t.mask) if m in modalities else t for m, t in tokens.items()}


@pytest.mark.parametrize("name", list(strategy))
def test_a_head_for_real_tokens_has_at_most_a_million_weights(name):
    for kept in (MODALITIES, ("text", "image"), ("image", "audio"), ("text",)):
        head = strategy[name]({m: WIDE[m] for m in kept}, 14, HeadSettings())
        assert head.parameter_count() <= 1_000_000


@pytest.mark.parametrize("name", list(strategy))
@pytest.mark.parametrize("kept", [("text", "image"), ("image", "audio"), ("text", "audio"), ("text",), ("audio",)])
def test_a_head_can_be_built_for_some_of_the_modalities(name, kept):
    torch.manual_seed(0)
    head = strategy[name]({m: SPECS[m] for m in kept}, 3, HeadSettings(width=24, heads=2)).eval()
    tokens = {m: t for m, t in random_tokens(3).items() if m in kept}
    with capture() as tape:
        output = head(tokens)
    assert output.logits.shape == (3, 3)
    assert len(attention_maps(tape, kept)) >= len(attention_maps(tape, ()))
    for m in kept:
        alone = {other: replace(t, mask=t.mask & (other == m)) for other, t in tokens.items()}
        assert torch.isfinite(head(alone).logits).all()


# Product of experts


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)) or "nothing")
def test_a_product_of_experts_is_the_product_of_its_experts_over_the_prior(kept):
    head = tiny_head("product_of_experts")
    head.prior.data = torch.tensor([0.3, -1.0, 0.6])
    tokens = only(random_tokens(4), kept)
    output, prior = head(tokens), head.prior.softmax(0)
    by_hand = torch.ones(4, 3)
    for m in kept:
        by_hand = by_hand * output.auxiliary[m].softmax(1)
    by_hand = by_hand / prior ** (len(kept) - 1)
    torch.testing.assert_close(output.logits.exp(), by_hand, atol=1e-6, rtol=1e-4)
    assert output.fused.shape == (4, 3 * len(CLASSES))
    torch.testing.assert_close(output.logits, prior.log() + output.fused.unflatten(1, (3, -1)).sum(1))


def test_a_product_of_no_experts_is_the_prior():
    head = tiny_head("product_of_experts")
    head.prior.data = torch.tensor([0.3, -1.0, 0.6])
    logits = head(absent(random_tokens(2), *MODALITIES)).logits
    torch.testing.assert_close(logits.softmax(1), head.prior.softmax(0).expand(2, 3))
    assert "prior" in head.state_dict()


# Gated


def gate_capture(head, tokens):
    with capture() as tape:
        output = head(tokens)
    (captured,) = tape.captured
    return captured, output


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)) or "nothing")
def test_gates_lie_between_0_and_1_and_are_0_where_a_modality_is_absent(kept):
    head = tiny_head("gated")
    captured, output = gate_capture(head, only(random_tokens(3), kept))
    assert captured.kind == "gate"
    assert captured.weights.shape == captured.gated.shape == (3, 1, 24, 3)
    for column, (m, length) in enumerate(captured.key):
        gates = captured.weights[..., column]
        assert length == 1
        assert bool(((gates > 0) & (gates < 1)).all()) if m in kept else bool((gates == 0).all())
    h = (captured.weights * captured.gated).sum(-1)[:, 0]
    torch.testing.assert_close(output.fused, h)
    torch.testing.assert_close(output.logits, head.classifier(h))


def test_gates_and_what_they_weigh_are_the_formula():
    head, tokens = tiny_head("gated"), random_tokens(2)
    captured, _ = gate_capture(head, tokens)
    pooled = {m: masked_mean(t) for m, t in head.project(tokens).items()}
    together = torch.cat([pooled[m] for m in MODALITIES], dim=1)
    for column, m in enumerate(MODALITIES):
        torch.testing.assert_close(captured.weights[:, 0, :, column], head.gates[m](together).sigmoid())
        torch.testing.assert_close(captured.gated[:, 0, :, column], head.values[m](pooled[m]).tanh())
        norm = (head.gates[m](together).sigmoid() * head.values[m](pooled[m]).tanh()).norm(dim=1)
        torch.testing.assert_close(captured.passed()[m], norm)


def test_a_gate_that_is_shut_takes_its_modality_out_of_the_vector():
    head, tokens = tiny_head("gated"), random_tokens(2)

    def shut(probe, weights, allowed):
        return torch.where(torch.tensor([True, False, True]), weights, 0.0)

    with capture(edit=shut) as tape:
        head(tokens)
    assert float(tape.captured[0].passed()["image"].detach().sum()) == 0.0
    assert torch.equal(uniform(head.probe, tape.captured[0].weights, torch.ones(1) > 0), tape.captured[0].weights)


def test_gates_are_told_in_a_trace_and_are_no_attention(tiny_model):
    """No check of attention, no group of maps, no site in `doctor`: gates are statements of their own."""
    trace = traced(tiny_model, "gated", absent(random_tokens(1), "audio"))
    assert {(m.kind, m.site, m.query, m.key) for m in trace.attention} == {
        ("gate", "gate", "fused", "text"),
        ("gate", "gate", "fused", "image"),
    }
    assert all(m.weights.shape == (1, 24, 1) and m.norm > 0 for m in trace.attention)
    checks = {check.name: check for check in trace.checks}
    assert {"gate_text", "gate_image"} <= set(checks)
    assert "attention_matters" not in checks
    assert checks["gate_text"].passed is None
    assert checks["gate_text"].value == pytest.approx(trace.attention[0].norm)
    assert "neither is a contribution" in checks["gate_text"].sentence
    assert gate_checks(traced(tiny_model, "early", random_tokens(1)).attention) == ()


def traced(model, name, tokens):
    """Trace tokens under one strategy, without encoders."""
    axes = {m: TokenAxis(SPECS[m].kind, ("t",) * LENGTHS[m], ((0.0, 1.0),) * LENGTHS[m], SPECS[m].grid) for m in tokens}
    parts = {m: ModalityInputs(t.values, t.mask, (axes[m] if t.mask.any() else None,)) for m, t in tokens.items()}
    (trace,) = trace_strategies(model, Record("r"), Inputs(parts, ((),)), tokens, [name], Question())
    return trace


# Low rank


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)) or "nothing")
def test_low_rank_is_the_full_tensor_of_the_outer_product(kept):
    """Build `W [1+D, 1+D, 1+D, H]` from the factors and contract it with the outer product of `[1; z_m]`."""
    torch.manual_seed(3)
    settings = HeadSettings(width=6, heads=2)
    head = strategy["low_rank"](SPECS, 3, settings).eval().double()
    with torch.no_grad():
        for p in head.parameters():
            p.add_(0.3 * torch.randn_like(p))
    tokens = only({m: Tokens(t.values.double(), t.mask) for m, t in random_tokens(2).items()}, kept)
    projected = head.project(tokens)
    one_z = {}
    for m in MODALITIES:
        z = head.embed[m](masked_mean(projected[m])) if m in kept else torch.zeros(2, 6).double()
        one_z[m] = torch.cat([torch.ones(2, 1).double(), z], dim=1)
    outer = torch.einsum("bi,bj,bk->bijk", *(one_z[m] for m in MODALITIES))
    tensor = torch.einsum("r,rih,rjh,rkh->ijkh", head.mix, *(head.weights[m] for m in MODALITIES))
    h = torch.einsum("bijk,ijkh->bh", outer, tensor)
    output = head(tokens)
    torch.testing.assert_close(output.fused, h)
    torch.testing.assert_close(output.logits, h @ head.classifier.weight.T + head.classifier.bias)


def test_low_rank_factors_give_the_mean_over_independent_donors_in_closed_form():
    """Multilinear: the mean of the logits over a modality's donors is the logits of its mean factor."""
    head, tokens = tiny_head("low_rank"), random_tokens(5)
    factors = head.factors(head.project(tokens))
    assert all(f.shape[0] == 5 and f.shape[2] == 24 for f in factors.values())
    torch.testing.assert_close(head.classifier(head.multiply(factors)), head(tokens).logits)
    grid = torch.cartesian_prod(torch.arange(5), torch.arange(5))  # donors of image and audio
    record = {"text": torch.full((25,), 2), "image": grid[:, 0], "audio": grid[:, 1]}
    mean = head({m: tokens[m].rows(record[m]) for m in MODALITIES}).logits.mean(0)
    closed = {"text": factors["text"][2:3], **{m: factors[m].mean(0, keepdim=True) for m in ("image", "audio")}}
    torch.testing.assert_close(head.classifier(head.multiply(closed))[0], mean)


# Bottleneck


BOTTLENECKS = 4


def nothing_in(probe, weights, allowed):
    """Let the bottlenecks read nothing: their rows, in every layer, become zero."""
    first = weights.shape[2] == BOTTLENECKS
    kept = weights.clone()
    kept[:, :, slice(None) if first else slice(-BOTTLENECKS, None)] = 0.0
    return kept


@pytest.mark.parametrize("m", MODALITIES)
def test_modalities_meet_nowhere_but_in_the_bottlenecks(m):
    """Uncut, every modality moves the answer; where the bottlenecks read nothing, none does."""
    head, tokens = tiny_head("bottleneck"), random_tokens(2)
    changed = other_values(tokens, m)
    assert not torch.allclose(head(tokens).logits, head(changed).logits, atol=1e-6)
    with capture(edit=nothing_in):
        torch.testing.assert_close(head(tokens).logits, head(changed).logits, atol=1e-6, rtol=1e-6)


def test_the_answer_is_read_from_the_mean_of_the_last_updates_of_the_streams_present():
    head, tokens = tiny_head("bottleneck"), absent(random_tokens(2), "audio")
    values = {m: t.values for m, t in head.project(tokens).items()}
    shared = head.bottleneck.expand(2, -1, -1)
    for layer in head.layers:
        updates = []
        for m in ("text", "image"):
            segments = ((m, LENGTHS[m]), ("bottleneck", BOTTLENECKS))
            stream = torch.cat([values[m], shared], dim=1)
            stream = layer(stream, torch.ones(stream.shape[:2]) > 0, segments)
            values[m], update = stream[:, : LENGTHS[m]], stream[:, LENGTHS[m] :]
            updates.append(update)
        shared = torch.stack(updates).mean(0)
    torch.testing.assert_close(head(tokens).fused, head.norm(shared).mean(1), atol=1e-5, rtol=1e-5)


def test_every_captured_bottleneck_map_is_named_and_feeds_the_answer():
    head, tokens = tiny_head("bottleneck"), random_tokens(1)
    with capture() as tape:
        logits = head(tokens).logits
    names = [(c.site, c.layer, c.query, c.key) for c in tape.captured]
    assert len(set(names)) == len(names) == 3 * len(head.layers)
    for captured in tape.captured:
        last = captured.layer == len(head.layers) - 1
        assert captured.site == "bottleneck"
        assert ("bottleneck", BOTTLENECKS) in captured.key
        assert captured.query == ((("bottleneck", BOTTLENECKS),) if last else captured.key)
    for number in range(len(names)):
        start = 0
        for _, length in names[number][2]:
            rows = slice(start, start + length)
            start += length
            heard = []

            def scramble(probe, weights, allowed, heard=heard, number=number, rows=rows):
                heard.append(probe)
                if len(heard) - 1 != number:
                    return weights
                changed = weights.clone()
                changed[:, :, rows] = weights[:, :, rows].flip(-1)
                return changed

            with capture(edit=scramble):
                assert not torch.equal(head(tokens).logits, logits)


@pytest.mark.parametrize("kept", PATTERNS[1:], ids=lambda kept: "+".join(sorted(kept)))
def test_bottleneck_maps_keep_the_shared_tokens_and_their_rows_add_up(kept):
    head = tiny_head("bottleneck")
    with capture() as tape:
        head(only(random_tokens(1), kept))
    maps = attention_maps(tape, kept)
    named = [(m.site, m.layer, m.query, m.key) for m in maps]
    assert len(set(named)) == len(named)
    assert {m.query for m in maps} | {m.key for m in maps} == kept | {"bottleneck"}
    for layer in range(len(head.layers)):
        for query in {m.query for m in maps if m.layer == layer}:
            rows = sum(m.weights.sum(-1) for m in maps if (m.layer, m.query) == (layer, query))
            assert rows == pytest.approx(1.0, abs=1e-5)
    assert {m.query for m in maps if m.layer == len(head.layers) - 1} == {"bottleneck"}


# FiLM


def films(head, tokens):
    """Return gamma and beta of every map of each conditioned modality, `[B, N, 2, D]`."""
    projected = head.project(tokens)
    condition = projected[head.condition]
    asked, present = head.question(masked_mean(condition)), condition.mask.any(dim=1, keepdim=True)
    return {m: network.films(asked, present) for m, network in head.conditioned.items()}


def test_text_scales_and_shifts_and_without_it_nothing_is_changed():
    head, tokens = tiny_head("film"), random_tokens(3)
    for found in films(head, tokens).values():
        assert found.shape == (3, 3, 2, 24)
        assert not bool((found[:, :, 0] == 1.0).any())
        assert not bool((found[:, :, 1] == 0.0).any())
    silent = absent(tokens, "text")
    for found in films(head, silent).values():
        assert bool((found[:, :, 0] == 1.0).all())
        assert bool((found[:, :, 1] == 0.0).all())
    before = head(silent).logits
    for network in head.conditioned.values():
        network.modulator.weight.data.zero_()
        network.modulator.bias.data.zero_()
    assert torch.equal(head(silent).logits, before)


def test_a_block_is_the_formula_gamma_times_z_plus_beta():
    block = tiny_head("film").conditioned["audio"].blocks[0]
    x, valid, film = torch.randn(2, 4, 24), torch.ones(2, 4, 1) > 0, torch.randn(2, 2, 24)
    z = torch.nn.functional.gelu(film[:, 0, None] * block.first(block.norm(x)) + film[:, 1, None])
    seen = z + torch.nn.functional.gelu(block.near(z))
    torch.testing.assert_close(block(x, valid, film), x + block.second(seen))


def test_film_is_asymmetric_and_conditions_on_the_first_modality_where_there_is_no_text():
    head, tokens = tiny_head("film"), random_tokens(2)
    before = films(head, tokens)
    assert set(before) == {"image", "audio"}
    after = films(head, other_values(tokens, "image", "audio"))
    assert all(torch.equal(before[m], after[m]) for m in before)
    torch.manual_seed(0)
    blind = strategy["film"]({m: SPECS[m] for m in ("image", "audio")}, 3, HeadSettings(width=24, heads=2)).eval()
    assert (blind.condition, blind.targets) == ("image", ("audio",))
