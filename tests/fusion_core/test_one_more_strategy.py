"""One more strategy takes one file and one line: what that buys, tried with a strategy that exists here alone."""

from __future__ import annotations

import inspect
import itertools
import json

import pytest
import test_contracts
import torch
from torch import nn

from dashboard.views.board import StrategyCard, payload
from dashboard.views.labels import LABELS, LEVELS, NO_ATTENTION, say
from fusion_core.bundle import load, save
from fusion_core.contribute.ledger import measure
from fusion_core.doctor import capabilities
from fusion_core.errors import ModelError
from fusion_core.fit import FitSettings, draw_background, train_head
from fusion_core.fitting import strategy_names
from fusion_core.fusion import Head, HeadOutput, HeadSettings, strategy
from fusion_core.fusion.head import masked_mean
from fusion_core.lines import trace_line
from fusion_core.model import FusedModel
from fusion_core.question import Question
from fusion_core.tokens import TokenSet
from fusion_core.trace import trace_strategies
from fusion_core.types import MODALITIES, Inputs, ModalityInputs, Record, TokenAxis, Trace
from tests.conftest import CLASSES, LENGTHS, SPECS, SpecsOnly, random_tokens, tiny_head

NAME = "sum_of_vectors"
SHIPPED = list(strategy)


@pytest.fixture(autouse=True)
def one_more(monkeypatch):
    """Register the strategy on a copy of the shelf; the shelf itself is put back afterwards."""
    monkeypatch.setattr(strategy, "_parts", dict(strategy._parts))

    @strategy(NAME)
    class SumOfVectors(Head):
        """`W sum_m z_m + b`: all there is to write."""

        def __init__(self, specs, classes, settings):
            super().__init__(specs, classes, settings)
            self.classifier = nn.Linear(settings.width, classes)

        def combine(self, projected):
            fused = torch.stack([masked_mean(projected[m]) for m in self.modalities]).sum(dim=0)
            return HeadOutput(self.classifier(fused), self.speak_alone(projected), fused)

    return SumOfVectors


class NoEncoders(SpecsOnly):
    """A stack whose encoders cannot be loaded, as `doctor` then says."""

    def load(self, modality):
        raise ModelError(f"this test has no {modality} encoder")


def cases(contract):
    """Return every set of arguments that pytest would give a contract, the head left out."""
    marks = [mark for mark in getattr(contract, "pytestmark", []) if mark.name == "parametrize"]
    named = [[{mark.args[0]: value} for value in mark.args[1]] for mark in marks]
    return [{k: v for one in chosen for k, v in one.items()} for chosen in itertools.product(*named)]


CONTRACTS = [
    contract
    for name, contract in vars(test_contracts).items()
    if name.startswith("test_") and "head" in inspect.signature(contract).parameters
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
def test_it_is_held_to_every_contract(contract):
    assert list(strategy) == [*SHIPPED, NAME]  # what the contracts' own fixture lists
    for arguments in cases(contract):
        contract(tiny_head(NAME), **arguments)


def labelled(count, seed):
    """Return tokens whose class can be read from the sign of one dimension of the image."""
    tokens = random_tokens(count, seed)
    answer = torch.arange(count) % 3
    tokens["image"].values[:, :, 0] = 3.0 * (answer[:, None] - 1)
    rows = {m: torch.arange(count) for m in MODALITIES}
    return TokenSet(tokens, rows, tuple(map(str, range(count))), tuple(CLASSES[k] for k in answer))


@pytest.fixture
def model():
    """A model of the new strategy alone, fitted as `fit` does."""
    train, settings = labelled(90, 1), FitSettings(epochs=12, rate=1e-2, head=HeadSettings(width=24, heads=2))
    assert strategy_names("all")[-1] == NAME
    head, fitted = train_head(NAME, SPECS, CLASSES, train, labelled(30, 2), settings)
    return FusedModel(
        "one more", CLASSES, NoEncoders(SPECS), {NAME: head}, {NAME: fitted}, draw_background(train, 0), NAME
    )


def traced(model):
    tokens = random_tokens(1, seed=5)
    axes = {
        m: TokenAxis(SPECS[m].kind, tuple(map(str, range(n))), ((0.0, 1.0),) * n, SPECS[m].grid)
        for m, n in LENGTHS.items()
    }
    axes["image"] = TokenAxis("patches", axes["image"].labels, tuple((0.0, 0.0, 1.0, 1.0) for _ in range(9)), (3, 3))
    parts = {m: ModalityInputs(t.values, t.mask, (axes[m],)) for m, t in tokens.items()}
    record = Record("r", text="five words for this test", label="yes")
    (trace,) = trace_strategies(model, record, Inputs(parts, ((),)), tokens, [NAME], Question())
    assert isinstance(trace, Trace)
    return trace


def test_it_is_fitted_and_learns(model):
    fitted = model.fitted[NAME]
    assert fitted.status == "trained"
    assert fitted.validation_accuracy > 0.8
    assert fitted.parameters == model.heads[NAME].parameter_count()


def test_it_is_saved_and_loaded(model, tmp_path):
    save(model, tmp_path / "bundle")
    loaded = load(tmp_path / "bundle")
    tokens = random_tokens(4)
    assert loaded.strategies == (NAME,)
    torch.testing.assert_close(loaded.fuse(tokens, NAME), model.fuse(tokens, NAME))


def test_it_has_a_ledger_that_adds_up_and_a_trace_with_attributions(model):
    table = measure(model, random_tokens(1), NAME)
    assert all(table.ledger(target).residual < 1e-4 for target in CLASSES)
    trace = traced(model)
    checks = {check.name: check for check in trace.checks}
    assert checks["efficiency"].passed
    assert checks["completeness_fusion"].passed
    assert "attention_matters" not in checks
    assert {m: len(scores) for m, scores in trace.attributions[0].scores.items()} == LENGTHS
    assert json.loads(json.dumps(trace_line(trace, full=True), allow_nan=False))["strategy"] == NAME


def test_doctor_tries_it(model):
    found = {line["name"]: line for line in capabilities(model)}
    assert found[f"strategy: {NAME}"]["supported"]
    assert found[f"absent: {NAME}"]["supported"]
    assert not found[f"attention: {NAME}"]["supported"]


def test_its_board_card_needs_no_entry_in_the_table_of_words(model):
    fitted = model.fitted[NAME]
    card = StrategyCard(
        NAME,
        say(NAME),
        fitted.status,
        fitted.parameters,
        fitted.validation_accuracy,
        fitted.interval,
        has_attention=NAME not in NO_ATTENTION,
        sentence=NO_ATTENTION.get(NAME, ""),
        level=LEVELS.get(NAME, ""),
    )
    sent = payload([traced(model)], image=None, audio=None, strategies=(card,), labels=LABELS)
    (shown,) = json.loads(json.dumps(sent, allow_nan=False))["strategies"]
    assert (shown["name"], shown["label"], shown["chance"]) == (NAME, "sum of vectors", False)
    assert shown["prediction"]["top"] in CLASSES
    assert set(shown["ledgers"]) == set(CLASSES)
    assert shown["groups"] == []
    assert set(shown["attributions"][0]["scores"]) == set(MODALITIES)
    assert len(shown["facts"]) == 2


def test_afterwards_the_shelf_is_as_it_was(monkeypatch):
    monkeypatch.undo()
    assert list(strategy) == SHIPPED
    assert NAME not in strategy
