"""No map made on the gradient way is called trusted where that way gives other logits than the answer's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard import explaining
from dashboard.explaining import NOTHING_MORE, judge_map, removals
from dashboard.inspection import inspect_record
from dashboard.views.board import Later, StrategyCard, payload
from dashboard.views.labels import LABELS
from dashboard.views.maps import map_name
from fusion_core.asked import Asked
from fusion_core.foreign import load_foreign
from fusion_core.reading.records import read
from fusion_core.types import Check
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.tiny import FAMILIES

SAID = "attention written out, as gradients need it, gives another answer; logits differ by 3.0e-01 at most"
TARGET = "blue"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    records = read(SAMPLES / "scene_qa" / "test").records[:4]
    folder = FAMILIES["clip"](tmp_path_factory.mktemp("doubt") / "clip")
    model = load_foreign(folder, Asked(labels=("red", "blue")), lambda: records)
    return model, inspect_record(model, records[0])


def judged(monkeypatch, opened, name, passed):
    """What the board gets of a map that the removals alone would call trusted."""
    model, found = opened
    measured = explaining.judge

    def trusted(table, scores):
        return tuple(replace(one, badge="trusted", sentence="It beats chance.") for one in measured(table, scores))

    monkeypatch.setattr(explaining, "judge", trusted)
    others = tuple(check for check in found.traces[0].checks if check.name != "parity")
    trace = replace(found.traces[0], checks=(*others, Check("parity", 0.3, passed, SAID)))
    table = removals(model, found, "clip", TARGET, each=False)
    told = judge_map(model, found, trace, NOTHING_MORE, table, name, TARGET, against_chance=False)
    later = Later(judged={"clip": {f"{name} {TARGET}": told}})
    cards = [StrategyCard("clip", "CLIP", "as loaded", place=model.head("clip").where)]
    (card,) = payload((trace,), image=None, audio=None, strategies=cards, labels=LABELS, later=later)["strategies"]
    return card, card["judged"][f"{name} {TARGET}"]


def names(opened):
    view = next(view for view in opened[1].traces[0].scores if view.method == "relevancy")
    return map_name("relevancy", view.target or "", ""), map_name("rollout", "", "")


def test_the_badge_of_a_gradient_view_is_lowered_with_the_reason_where_parity_failed(monkeypatch, opened):
    card, told = judged(monkeypatch, opened, names(opened)[0], passed=False)
    assert told["badge"] == "weak"
    assert [(s["badge"], s["word"]) for s in told["scopes"]] == [("weak", "weak")]
    assert told["scopes"][0]["sentence"] == f"It beats chance. Not called trusted: {SAID}."
    assert {"name": "parity", "passed": False, "sentence": SAID} in card["checks"]


def test_the_badge_stays_where_parity_holds_and_on_maps_made_the_way_of_the_answer(monkeypatch, opened):
    relevancy, rollout = names(opened)
    assert judged(monkeypatch, opened, relevancy, passed=True)[1]["badge"] == "trusted"
    assert judged(monkeypatch, opened, rollout, passed=False)[1]["badge"] == "trusted"


def test_the_strip_says_where_the_model_runs(monkeypatch, opened):
    card, _ = judged(monkeypatch, opened, names(opened)[1], passed=True)
    assert card["facts"][-1].startswith("cpu · float32 · ")
