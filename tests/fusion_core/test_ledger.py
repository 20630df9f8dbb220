"""The ledger of any trained or untrained head: it adds up, and its invariants hold."""

from __future__ import annotations

import pytest
import torch

from fusion_core.contribute.ledger import POLICIES, measure
from fusion_core.errors import CallError
from fusion_core.fusion import strategy
from fusion_core.types import MODALITIES, Tokens
from tests.conftest import CLASSES, absent, random_tokens


@pytest.fixture(params=list(strategy))
def name(request):
    return request.param


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("missing", [(), ("audio",), ("text", "image")], ids=str)
def test_contributions_add_up_to_full_minus_base(tiny_model, name, policy, missing):
    table = measure(tiny_model, absent(random_tokens(1), *missing), name, policy)
    for target in CLASSES:
        ledger = table.ledger(target)
        assert ledger.residual <= 1e-4 * max(1.0, abs(ledger.full - ledger.base))
        assert all(ledger.contributions[m] == 0.0 for m in missing)
        assert all(ledger.standard_errors[m] is None for m in missing)


def test_the_ledger_makes_one_plus_seven_times_donors_passes(tiny_model):
    table = measure(tiny_model, random_tokens(1), "early")
    assert table.evaluations == 1 + 7 * tiny_model.background.size


@pytest.mark.parametrize("missing", [(), ("image",)], ids=str)
def test_coalitions_agree_with_fusing_each_mixture_by_itself(tiny_model, name, missing):
    tokens = absent(random_tokens(1), *missing)
    table = measure(tiny_model, tokens, name, seed=4)
    generator = torch.Generator().manual_seed(4)
    size = tiny_model.background.size
    order = {m: torch.randperm(size, generator=generator) for m in MODALITIES}
    for subset, found in table.values.items():
        for draw in range(len(found)):
            mixture = {}
            for m in MODALITIES:
                own = m in subset or m in missing
                donor = tiny_model.background.tokens[m].rows(order[m][draw : draw + 1])
                mixture[m] = tokens[m] if own else donor
            logits = tiny_model.fuse(mixture, name)[0]
            expected = (logits - logits.mean()).double().numpy()
            assert found[draw] == pytest.approx(expected, abs=1e-5)


def test_what_stands_in_an_absent_row_of_the_pool_never_leaks(tiny_model, name):
    pool = random_tokens(2)
    pool["audio"] = pool["audio"].each(lambda features: torch.full_like(features, float("nan")))
    rows = {"text": torch.tensor([0, 1]), "image": torch.tensor([1, 0]), "audio": torch.tensor([-1, -1])}
    logits = tiny_model.fuse_rows(pool, rows, name)
    picked = {m: pool[m].rows(rows[m]) for m in pool}
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits, tiny_model.fuse(picked, name), atol=2e-6, rtol=1e-5)


def test_late_fusion_has_no_interactions_when_everything_is_present(tiny_model):
    ledger = measure(tiny_model, random_tokens(1), "late").ledger("yes")
    assert all(abs(v) < 1e-5 for v in ledger.interactions.values())
    assert ledger.three_way == pytest.approx(0.0, abs=1e-5)


def test_a_modality_that_is_like_its_donors_contributes_nothing(tiny_model, name):
    tokens = random_tokens(1)
    donors = dict(tiny_model.background.tokens)
    same = tokens["audio"].rows(torch.zeros(tiny_model.background.size, dtype=torch.long))
    model = type(tiny_model)(
        "t",
        CLASSES,
        tiny_model.stack,
        tiny_model.heads,
        tiny_model.fitted,
        type(tiny_model.background)({**donors, "audio": same}),
        "late",
    )
    ledger = measure(model, tokens, name).ledger("yes")
    assert ledger.contributions["audio"] == pytest.approx(0.0, abs=1e-5)


def test_a_modality_whose_weights_are_zero_contributes_nothing(tiny_model):
    head = tiny_model.heads["concat"]
    saved = {k: v.clone() for k, v in head.state_dict().items()}
    for parameter in head.front["audio"].parameters():
        parameter.data.zero_()
    ledger = measure(tiny_model, random_tokens(1), "concat").ledger("no")
    head.load_state_dict(saved)
    assert ledger.contributions["audio"] == pytest.approx(0.0, abs=1e-6)


def test_the_same_seed_gives_the_same_ledger(tiny_model, name):
    first, second = (measure(tiny_model, random_tokens(1), name).ledger("yes") for _ in range(2))
    assert first == second


def test_standard_errors_shrink_to_none_without_donors(tiny_model):
    ledger = measure(tiny_model, random_tokens(1), "early", "missing").ledger("yes")
    assert set(ledger.standard_errors.values()) == {None}
    assert ledger.donors == 0


def test_an_unknown_policy_is_refused_with_the_allowed_ones(tiny_model):
    with pytest.raises(CallError, match="allowed: marginal, missing, mean, zero"):
        measure(tiny_model, random_tokens(1), "late", "median")


def test_padding_of_the_record_does_not_change_the_ledger(tiny_model, name):
    tokens = random_tokens(1)
    longer = {
        **tokens,
        "text": Tokens(
            torch.cat([tokens["text"].values, torch.zeros(1, 9, 12)], 1),
            torch.cat([tokens["text"].mask, torch.zeros(1, 9) > 0], 1),
            torch.cat([tokens["text"].raw, torch.zeros(1, 9, 6)], 1),
        ),
    }
    a, b = (measure(tiny_model, t, name).ledger("yes") for t in (tokens, longer))
    assert a.contributions == pytest.approx(b.contributions, abs=1e-5)
