"""Of a model whose every pass takes long nothing is worked out unasked, and what it costs is said first."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from dashboard import state
from dashboard.costs import costs
from dashboard.deeper import case_file
from dashboard.explaining import Wanted, explain, explain_classes, judge_map, removals
from dashboard.inspection import classes_left, inspect_record
from dashboard.turns import Turns
from dashboard.viewer import Selection
from dashboard.views.board import Later, StrategyCard, payload
from dashboard.views.labels import LABELS
from dashboard.work import wanted_by
from fusion_core.asked import Asked
from fusion_core.attribute import problem
from fusion_core.foreign import load_foreign
from fusion_core.reading.records import read
from fusion_core.verify.removal import Told
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.tiny import FAMILIES

LABELLED = Asked(labels=("red", "blue", "purple"))
USUAL = "integrated_gradients"


@pytest.fixture
def heavy(monkeypatch, tmp_path):
    """A tiny CLIP that counts as heavy, and a record under it."""
    monkeypatch.setattr(problem, "HEAVY_ROW", 0)
    monkeypatch.setattr(problem, "MEMORY_BUDGET", 1)
    records = read(SAMPLES / "scene_qa" / "test").records[:6]
    model = load_foreign(FAMILIES["clip"](tmp_path / "clip"), LABELLED, lambda: records)
    return model, inspect_record(model, records[0])


def test_it_has_its_ledger_and_attention_and_its_attributions_are_asked_for(heavy):
    model, found = heavy
    (trace,) = found.traces
    assert found.heavy == {"clip"}
    assert trace.attributions == ()
    assert trace.ledger.contributions
    assert {view.method for view in trace.scores} == {"rollout", "relevancy"}
    left = classes_left(model, found)
    assert set(left) == set(model.classes) - {trace.target}
    more = explain_classes(model, found, left)
    assert more.explained["clip"] == ()
    assert {view.target for view in more.scores["clip"]} == set(left)
    assert wanted_by(Selection("clip", view="attention"), found) == []
    (wanted,) = wanted_by(Selection("clip", view="attribution"), found)
    assert wanted == Wanted("clip", USUAL, "fusion", trace.target)
    assert {part.target for part in explain(model, found, wanted, lambda *told: None).parts} == {trace.target}


def test_what_it_costs_is_said_before(heavy):
    model, found = heavy
    told = costs(model, found)
    usual = next(one for one in told.methods if one["name"] == USUAL)
    assert usual["heavy"]["clip"]["fusion"]["passes"] == 50
    assert told.of(Wanted("clip", USUAL, "fusion", "red")) == usual["heavy"]["clip"]["fusion"]
    assert usual["heavy"]["clip"]["input"]["heavy"]
    tokens = sum(int(t.mask.sum()) for t in found.tokens.values())
    assert told.tests["clip"]["passes"] == 20 * 11 + 100 + 32 >= tokens
    later = Later(methods=told.methods, tests=told.tests)
    cards = [StrategyCard("clip", "CLIP", "as loaded", heavy=True)]
    shown = payload(found.traces, image=None, audio=None, strategies=cards, labels=LABELS, later=later)
    (card,) = shown["strategies"]
    assert card["heavy"] is True
    assert card["test"] == told.tests["clip"]


def test_a_map_that_is_tested_says_how_far_it_is_and_comes_to_the_same(heavy):
    model, found = heavy
    (trace,) = found.traces
    heard: list[tuple[int, int]] = []
    ended = Told(lambda done, planned: heard.append((done, planned)) if done < 40 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        removals(model, found, "clip", trace.target, False, ended)
    went_on = Told(lambda done, planned: heard.append((done, planned)), ended.parts)
    tables = [removals(model, found, "clip", trace.target, False, told) for told in (None, went_on)]
    whole = {planned for _, planned in heard}
    assert [done for done, _ in heard] == list(range(0, whole.pop(), 4))
    assert whole == set()
    plain, told = (
        judge_map(model, found, trace, explain_classes(model, found, ()), table, "rollout", trace.target, False)
        for table in tables
    )
    assert plain == told


def test_integrated_gradients_of_it_can_be_ended(heavy):
    model, found = heavy

    class Ended(Exception):
        pass

    def report(done, planned, partly):
        assert planned == 48
        if done > 4:
            raise Ended

    with pytest.raises(Ended):
        explain(model, found, Wanted("clip", USUAL, "fusion", "red"), report)


def test_a_light_strategy_beside_it_keeps_what_comes_by_itself(heavy):
    _, found = heavy
    light = replace(found, heavy=frozenset())
    assert wanted_by(Selection("clip", view="attribution"), light) == []


def test_its_case_file_is_without_what_takes_minutes(heavy, tmp_path):
    model, found = heavy
    record = found.traces[0].record
    given = (lambda: model, record, "clip", "red", tmp_path, nullcontext, Turns())
    short, whole = (case_file(*given, whole=whole).decode() for whole in (False, True))
    assert "Integrated gradients" in whole or "integrated gradients" in whole
    assert "integrated gradients" not in short.lower()
    assert len(short) < len(whole)


def test_what_was_asked_of_another_record_is_let_go(monkeypatch):
    kept = {}
    monkeypatch.setattr(state, "recall", kept.get)
    monkeypatch.setattr(state, "remember", kept.__setitem__)
    state.note("one", "judge", ("clip", "map", "red", ""))
    state.opened("one")
    assert state.noted("one", "judge")
    state.opened("another")
    assert not state.noted("one", "judge")
