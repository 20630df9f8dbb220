"""What a head is worth: the guess is the quantity it says, the trial is a real one, and they agree on real records."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.attend.heads import ablated_heads, head_importance, tried_heads
from fusion_core.attention import Attention
from fusion_core.bundle import load
from fusion_core.model import FusedModel
from fusion_core.ranks import rank_agreement
from fusion_core.reading.records import read
from fusion_core.tokens import encode_records
from tests.conftest import SAMPLES, absent, random_tokens, tiny_head
from tests.fusion_core.handmade import Pick, Streams, model_of

RECORDS = 40


def attentions(head):
    """Return a head's attention modules in the order in which they are asked."""
    asked = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: asked.append(module))
        for module in head.modules()
        if isinstance(module, Attention)
    ]
    head(random_tokens(1))
    for hook in hooks:
        hook.remove()
    return asked


@pytest.mark.parametrize("name", ["early", "cross_attention"])
def test_importance_is_the_product_of_a_heads_output_and_its_gradient(name):
    head = tiny_head(name)
    model, outputs = model_of(head), []
    hooks = [
        a.out.register_forward_pre_hook(lambda _, given: outputs.append(given[0]) or None) for a in attentions(head)
    ]
    head.requires_grad_(True)
    logits = model.fuse(random_tokens(1), "mine")
    gradients = torch.autograd.grad(logits[0, 1] - logits[0].mean(), outputs)
    for hook in hooks:
        hook.remove()
    head.requires_grad_(False)
    per_head = [(o * g).detach().unflatten(-1, (2, -1)).sum((0, 1, 3)) for o, g in zip(outputs, gradients, strict=True)]
    found = head_importance(model, random_tokens(1), "mine", 1)
    assert [h.importance for h in found] == pytest.approx(torch.cat(per_head).abs().tolist(), abs=1e-6, rel=1e-4)
    assert [h.number for h in found] == [0, 1] * len(outputs)


@pytest.mark.parametrize("name", ["early", "cross_attention", "streams"])
def test_an_ablated_head_is_one_whose_output_reaches_nobody(name):
    torch.manual_seed(0)
    head = Streams() if name == "streams" else tiny_head(name)
    model, tokens = model_of(head), random_tokens(1)

    def centred():
        logits = model.fuse(tokens, "mine")[0]
        return float(logits[2] - logits.mean())

    found, whole, wanted = ablated_heads(model, tokens, "mine", 2), centred(), []
    for attention in attentions(head):
        for part in attention.out.weight.data.chunk(2, dim=1):
            kept = part.clone()
            part.zero_()
            wanted.append(abs(centred() - whole))
            part.copy_(kept)
    assert found == pytest.approx(np.array(wanted), abs=2e-6)
    assert found.max() > 1e-3


def test_where_the_answer_is_linear_in_attention_the_guess_is_exact():
    heads, check = tried_heads(model_of(Pick()), random_tokens(1), "mine", 0)
    assert [h.importance for h in heads] == pytest.approx([2.0, 2 / 3])
    assert [h.ablated for h in heads] == pytest.approx([2.0, 2 / 3])
    assert heads[0].query == ("cls",)
    assert heads[0].key == ("cls", "text", "image", "audio")
    assert check is None  # two heads have no ranking to speak of


def test_heads_of_an_absent_modality_are_left_out():
    model = model_of(tiny_head("cross_attention"))
    tokens = absent(random_tokens(1), "audio")
    heads, check = tried_heads(model, tokens, "mine", 0)
    assert {(h.query, h.key) for h in heads if h.site == "cross"} == {
        (("text",), ("image",)),
        (("image",), ("text",)),
    }
    assert len(heads) == 2 * (2 + 2)
    assert "over 8 heads" in check.sentence


def test_a_strategy_without_attention_has_no_heads():
    assert tried_heads(model_of(tiny_head("late")), random_tokens(1), "mine", 0) == ((), None)


@pytest.mark.parametrize(
    ("first", "second", "agreement"),
    [
        ([1, 2, 3], [10, 20, 90], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),
        ([1, 1, 2, 3], [1, 2, 3, 4], 4.5 / 22.5**0.5),
        ([1, 2], [1, 2], None),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_rank_agreement(first, second, agreement):
    assert rank_agreement(first, second) == (None if agreement is None else pytest.approx(agreement))


@pytest.fixture(scope="module", params=["feedback", "scene_qa"])
def sample(request) -> tuple[FusedModel, list]:
    model = load(SAMPLES / "bundles" / request.param)
    tokens, _ = encode_records(model.stack, read(SAMPLES / request.param / "test").rows[:RECORDS])
    return model, [tokens.batch(torch.tensor([row])) for row in range(len(tokens))]


@pytest.mark.parametrize("name", ["early", "cross_attention"])
def test_importance_ranks_heads_as_ablation_does_on_most_shipped_records(sample, name):
    model, records = sample
    found = []
    for tokens in records:
        target = int(model.fuse(tokens, name).argmax())
        _, check = tried_heads(model, tokens, name, target)
        found.append(check.value)
        assert check.passed == (check.value >= 0.5)
    assert len(found) == RECORDS
    assert np.median(found) >= 0.5
