"""The rules every strategy keeps, by being registered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from unittest.mock import patch

import pytest
import torch

from fusion_core import attention
from fusion_core.attention import capture
from fusion_core.errors import CallError
from fusion_core.fusion import HeadSettings, TokenSpec, strategy
from fusion_core.types import MODALITIES
from tests.conftest import LENGTHS, SPECS, absent, random_tokens, tiny_head

PATTERNS = [set(kept) for size in (1, 2, 3) for kept in combinations(MODALITIES, size)]


def only(tokens, kept):
    return absent(tokens, *(set(MODALITIES) - kept))


@pytest.fixture(params=list(strategy))
def head(request):
    return tiny_head(request.param)


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e6])
def test_values_of_an_absent_modality_cannot_change_a_single_bit(head, kept, garbage):
    tokens = only(random_tokens(3), kept)
    replaced = {
        m: t if m in kept else t.each(lambda features: torch.full_like(features, garbage)) for m, t in tokens.items()
    }
    before, after = head(tokens), head(replaced)
    assert torch.equal(before.logits, after.logits)
    assert torch.isfinite(before.fused).all()
    assert torch.equal(before.fused, after.fused)


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
def test_random_values_of_an_absent_modality_cannot_change_a_single_bit(head, kept):
    tokens = only(random_tokens(3, seed=1), kept)
    other = random_tokens(3, seed=2)
    replaced = {m: t if m in kept else replace(other[m], mask=t.mask) for m, t in tokens.items()}
    assert torch.equal(head(tokens).logits, head(replaced).logits)


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
def test_the_order_of_the_dictionary_does_not_matter(head, kept):
    tokens = only(random_tokens(3), kept)
    for order in (("audio", "image", "text"), ("image", "text", "audio")):
        other = head({m: tokens[m] for m in order})
        assert torch.equal(head(tokens).logits, other.logits)
        assert torch.equal(head(tokens).fused, other.fused)


@pytest.mark.parametrize("kept", PATTERNS, ids=lambda kept: "+".join(sorted(kept)))
def test_padding_does_not_matter(head, kept):
    tokens = only(random_tokens(2), kept)
    longer = {
        m: t
        if SPECS[m].grid
        else t.each(
            lambda features: torch.cat([features, torch.full_like(features, float("nan"))], 1),
            torch.cat([t.mask, torch.zeros_like(t.mask)], 1),
        )
        for m, t in tokens.items()
    }
    torch.testing.assert_close(head(tokens).logits, head(longer).logits, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(head(tokens).fused, head(longer).fused, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_record_does_not_depend_on_its_batch(head, batch):
    tokens = random_tokens(7)
    together = head(tokens).logits[:batch]
    alone = torch.cat(
        [head({m: t.rows(torch.tensor([row])) for m, t in tokens.items()}).logits for row in range(batch)]
    )
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=1e-5)


def test_presence_patterns_may_be_mixed_in_a_batch(head):
    tokens = random_tokens(len(PATTERNS))
    masks = {m: torch.tensor([[m in kept] for kept in PATTERNS]) for m in MODALITIES}
    mixed = head({m: replace(t, mask=t.mask & masks[m]) for m, t in tokens.items()}).logits
    for row, kept in enumerate(PATTERNS):
        own = only({m: t.rows(torch.tensor([row])) for m, t in tokens.items()}, kept)
        torch.testing.assert_close(mixed[row], head(own).logits[0], atol=2e-6, rtol=1e-5)


def test_nothing_present_still_gives_finite_logits(head):
    assert torch.isfinite(head(absent(random_tokens(2), *MODALITIES)).logits).all()


def test_the_logits_are_a_linear_map_of_the_fused_vector(head):
    output = head(random_tokens(200))
    fused = output.fused.detach().double()
    read = torch.cat([fused, torch.ones(200, 1).double()], dim=1)
    assert read.shape[1] < 150  # else any logits would fit
    fitted = read @ torch.linalg.lstsq(read, output.logits.detach().double(), driver="gelsd").solution
    torch.testing.assert_close(fitted.float(), output.logits.detach(), atol=1e-4, rtol=1e-4)


def test_every_weight_takes_part_in_the_loss(head):
    output = head(random_tokens(4))
    total = output.logits.square().sum() + sum(a.square().sum() for a in output.auxiliary.values())
    total.backward()
    idle = [name for name, p in head.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    # Keys' biases shift a whole softmax row alike, and an embedding of absence is only read when something is absent.
    assert [n for n in idle if not n.endswith("key.bias") and not n.startswith("missing")] == []


def test_gradients_are_finite_when_a_modality_is_absent(head):
    tokens = absent(random_tokens(2), "image")
    tokens["image"] = tokens["image"].each(lambda features: torch.full_like(features, float("nan")))
    head(tokens).logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def test_attention_rows_add_up_to_one_per_softmax(head):
    with capture() as tape:
        head(random_tokens(2))
    for captured in tape.captured:
        if captured.kind == "attention":
            torch.testing.assert_close(captured.weights.sum(-1), torch.ones(captured.weights.shape[:-1]))


def test_absent_keys_get_no_attention(head):
    with capture() as tape:
        head(absent(random_tokens(2), "audio"))
    for captured in tape.captured:
        start = 0
        for name, length in captured.key:
            if name == "audio":
                assert float(captured.weights[..., start : start + length].detach().abs().max()) == 0.0
            start += length


def test_capturing_does_not_change_the_answer(head):
    tokens = random_tokens(2)
    plain = head(tokens).logits
    with capture():
        assert torch.equal(plain, head(tokens).logits)


def test_rows_worked_out_a_few_at_a_time_are_the_same(head):
    tokens = random_tokens(5)
    whole = head(tokens).logits
    with patch.object(attention, "CACHED", 1):
        few = head(tokens).logits  # one thread sums a small matrix in another order than a large one
    torch.testing.assert_close(few, whole, rtol=0, atol=1e-6)


def test_captures_of_eight_threads_never_mix():
    head = tiny_head("early")
    lengths = [{**LENGTHS, "text": 3 + k} for k in range(8)]

    def run(k):
        seen = []
        for _ in range(20):
            with capture() as tape:
                head(random_tokens(1, seed=k, lengths=lengths[k]))
            seen.append([(c.key, float(c.weights.detach().sum())) for c in tape.captured])
        return seen

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(8)))
    for k, seen in enumerate(results):
        assert all(len(tape) == len(head.blocks) for tape in seen)
        assert all(key[1] == ("text", 3 + k) for tape in seen for key, _ in tape)
        assert len({str(tape) for tape in seen}) == 1


def test_a_tape_hears_nothing_after_it_is_closed():
    head = tiny_head("early")
    with capture() as tape:
        pass
    head(random_tokens(1))
    assert tape.captured == []


def test_wrong_width_is_named_with_what_was_wanted(head):
    tokens = random_tokens(1)
    tokens["text"] = tokens["text"].put(head.level, torch.zeros(1, 5, 48))
    kind, wanted = ("tokens", 12) if head.level == "tokens" else ("low-level features", 6)
    with pytest.raises(CallError, match=f"text {kind} have 48 dims but the strategy was built for {wanted}"):
        head(tokens)


def test_a_strategy_reads_one_level_and_nothing_of_the_other(head):
    tokens = random_tokens(2)
    other = "raw" if head.level == "tokens" else "tokens"
    garbled = {m: t.put(other, torch.full_like(t.at(other), float("nan"))) for m, t in tokens.items()}
    assert torch.equal(head(tokens).logits, head(garbled).logits)


def test_low_level_features_that_are_missing_are_named():
    tokens = random_tokens(1)
    tokens["image"] = replace(tokens["image"], raw=None)
    with pytest.raises(CallError, match="image tokens carry no low-level features"):
        tiny_head("early_raw")(tokens)
    with pytest.raises(CallError, match="do not all give"):
        strategy["early_raw"]({**SPECS, "audio": TokenSpec(8, "frames")}, 3, HeadSettings(24, 2))


def test_a_modality_that_was_not_given_is_named(head):
    tokens = random_tokens(1)
    del tokens["audio"]
    with pytest.raises(CallError, match="audio tokens were not given"):
        head(tokens)
