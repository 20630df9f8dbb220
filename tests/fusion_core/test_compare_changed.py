"""What another strategy would have changed: ids, counts, one sentence, and no recommendation from luck."""

from __future__ import annotations

import pandas as pd
import pytest

from fusion_core.answer_table import COLUMNS, load_answers
from fusion_core.compare.changed import changes, recommendation
from fusion_core.compare.result import StrategyCost
from fusion_core.errors import CallError
from tests.conftest import SAMPLES

PATTERN = {"late": "rrrrwwwwww", "early": "rrrwrrrrrr", "gated": "rrrrrwwwww"}


def table(pattern=PATTERN, times=1, label="yes"):
    rows = [
        (f"{k}-{turn}", s, "ok", None, "yes", 0.9, label, None if label is None else mark == "r")
        for turn in range(times)
        for s, marks in pattern.items()
        for k, mark in enumerate(marks)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_ids_say_what_is_fixed_and_what_is_broken():
    first, second = changes(table(), "late")
    assert (first.other, second.other) == ("early", "gated")
    assert first.fixes == tuple(f"{k}-0" for k in range(4, 10))
    assert first.breaks == ("3-0",)
    assert (first.failures, first.records) == (6, 10)
    assert second.fixes == ("4-0",)
    assert second.breaks == ()


def test_failures_in_view_narrow_what_is_fixed_but_not_what_is_broken():
    first = changes(table(), "late", failures=["4-0", "5-0", "0-0"])[0]
    assert first.fixes == ("4-0", "5-0")
    assert first.failures == 2
    assert first.breaks == ("3-0",)


def test_one_sentence_recommends_what_is_surely_better_with_its_price():
    costs = {"late": StrategyCost(1, 1.0, 1.0), "early": StrategyCost(1, 3.1, 1.0)}
    said = recommendation(changes(table(times=10), "late"), costs)
    assert said.startswith("early fixes 60 of 60 failures and breaks 10: accuracy +0.500, 95 % 0.3")
    assert said.endswith("p < 0.001, n 100; it costs 2.1 ms more per record.")


def test_luck_recommends_nothing():
    said = recommendation(changes(table(), "late"))
    assert said.startswith("No other strategy does significantly better than late on these 10 records")


def test_significance_counts_how_many_were_looked_at():
    alone = changes(table({"late": PATTERN["late"], "early": PATTERN["early"]}), "late")[0]
    among = changes(table(), "late")[0]
    assert among.p == pytest.approx(min(1.0, 2 * alone.p))


def test_errors_labels_and_chance_are_left_out():
    broken = table().astype({"correct": object})
    broken.loc[broken["id"] == "9-0", ["status", "correct"]] = ["error", None]
    assert changes(broken, "late")[0].records == 9
    assert changes(table(label=None), "late") == ()
    assert "no label" in recommendation(())
    assert [c.other for c in changes(table(), "late", leave_out=["early"])] == ["gated"]
    with pytest.raises(CallError, match="late, early, gated"):
        changes(table(), "film")


def test_the_sample_of_scenes_recommends_cross_attention():
    answers = load_answers(SAMPLES / "bundles" / "scene_qa", SAMPLES / "scene_qa" / "test")
    found = changes(answers, "late")
    assert found[0].other == "cross_attention"
    assert (len(found[0].fixes), len(found[0].breaks), found[0].failures) == (263, 3, 282)
    assert recommendation(found).startswith("cross-attention fixes 263 of 282 failures and breaks 3")
