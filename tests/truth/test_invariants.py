"""What holds for every head whatever it learned, beside what its own tests say.

Elsewhere: efficiency (`test_ledger.py`), linear heads: IG = Shapley = weights times distance (`test_attribute.py`),
late: EMAP = f (`test_contribution.py`), rollout rows and finite relevancy (`test_attend_contracts.py`).
"""

from __future__ import annotations

import pytest
import torch

from fusion_core.contribute.ledger import measure
from fusion_core.fusion import HeadSettings, TokenSpec, strategy
from fusion_core.model import Background, Fitted, FusedModel
from fusion_core.types import MODALITIES, Tokens
from tests.conftest import CLASSES, SPECS, SpecsOnly, random_tokens, tiny_head

WIDTH, LENGTH = 24, 5
TWINS = {m: TokenSpec(6, "frames", raw=6) for m in ("text", "audio")}
#: FiLM reads one modality by another: its slots are not alike by design.
ALIKE = [name for name in strategy if name != "film"]


def model_of(name, head, specs, donors):
    fitted = Fitted(name, 1, 0.9, (0.8, 0.95), 50, 100, 0.4, "trained", 0, 0.1)
    return FusedModel("m", CLASSES, SpecsOnly(specs), {name: head}, {name: fitted}, Background(donors), name)


@pytest.mark.parametrize("policy", ["marginal", "mean"])
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", list(strategy))
def test_a_modality_whose_weights_are_zero_contributes_nothing(name, modality, policy):
    head = tiny_head(name)
    front = head.front[modality]
    with torch.no_grad():
        front.linear.weight.zero_()
        front.linear.bias.zero_()
    model = model_of(name, head, SPECS, random_tokens(8, seed=9))
    table = measure(model, random_tokens(1, seed=3), name, policy)
    for target in CLASSES:
        assert table.ledger(target).contributions[modality] == pytest.approx(0.0, abs=1e-5)


def mirrored(head):
    """Return the head's weights with both slots made alike: what one has, the other gets, and both halves of a pair."""
    state = dict(head.state_dict())
    for key in state:
        if ".audio" in key and "text" not in key:
            state[key] = state[key.replace(".audio", ".text")].clone()
        if "text_audio" in key or "audio_text" in key:
            state[key] = state[key.replace("audio_text", "text_audio")].clone()
    for key, value in state.items():
        if key.startswith("gates.audio") and value.ndim == 2:
            own, other = state[key.replace("audio", "text")].chunk(2, dim=1)
            state[key] = torch.cat([other, own], dim=1)
        elif key.startswith("classifier.") and value.shape[-1:] == (2 * WIDTH,):
            half = value.chunk(2, dim=-1)[0]
            state[key] = torch.cat([half, half], dim=-1)
    if "weights" in state:
        state["weights"] = state["weights"].mean().expand_as(state["weights"])
    return state


def twin_tokens(seed):
    generator = torch.Generator().manual_seed(seed)
    values, raw = (torch.randn(1, LENGTH, 6, generator=generator) for _ in range(2))
    return Tokens(values, torch.ones(1, LENGTH) > 0, raw)


@pytest.mark.parametrize("name", ALIKE)
def test_swapping_two_like_slots_swaps_their_contributions(name):
    head = strategy[name](TWINS, len(CLASSES), HeadSettings(width=WIDTH, heads=2, layers=1))
    head.load_state_dict(mirrored(head))
    model = model_of(name, head.eval(), TWINS, dict.fromkeys(TWINS, twin_tokens(7)))
    one, other = twin_tokens(1), twin_tokens(2)
    straight, crossed, same = (
        measure(model, {"text": a, "audio": b}, name, "mean").ledger("yes").contributions
        for a, b in ((one, other), (other, one), (one, one))
    )
    assert straight["text"] == pytest.approx(crossed["audio"], abs=1e-5)
    assert straight["audio"] == pytest.approx(crossed["text"], abs=1e-5)
    assert same["text"] == pytest.approx(same["audio"], abs=1e-5)
    assert abs(straight["text"] - straight["audio"]) > 1e-4  # the slots held different things
