"""Triage by AppTest and its words: what it says with and without labels and diagnosis, on little and on nothing."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.views.asked import Asked
from dashboard.views.triage import Head, finding_caption, finding_title, first_days, head_html, slice_table
from fusion_core.log.asking import Filter
from fusion_core.log.queries import count
from fusion_core.log.runs import run_folder
from fusion_core.log.store import Store
from tests.conftest import ROOT, SAMPLES
from tests.dashboard.small_log import BLANK, is_blank, make_log

BUNDLE = SAMPLES / "bundles" / "feedback"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return make_log(tmp_path_factory.mktemp("whole") / "log")


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    return make_log(tmp_path_factory.mktemp("bare") / "log", labelled=False)


@pytest.fixture(scope="module")
def undiagnosed(tmp_path_factory):
    return make_log(tmp_path_factory.mktemp("unsaid") / "log", diagnosed=False)


def opened(monkeypatch, log, **address):
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", str(BUNDLE), "--log", str(log)])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def table(app):
    """Return the table of rows: the one with the texts."""
    return next(frame.value for frame in app.dataframe if "text" in frame.value.columns)


def said(app) -> str:
    return " ".join(element.value for kind in (app.markdown, app.caption, app.info) for element in kind)


def test_a_log_opens_on_triage_with_its_failures_newest_first(monkeypatch, log):
    app = opened(monkeypatch, log)
    assert not app.exception
    assert not app.error
    assert "30 failures" in said(app)
    rows = table(app)
    assert len(rows) == 25
    assert (rows["answered"] != rows["truth"]).all()
    assert rows["time"].is_monotonic_decreasing
    assert app.query_params["screen"] == "triage"
    radio = app.radio[0]
    assert radio.value == -1
    assert "image · missing" in radio.options[1].replace("\\", "")
    assert any("Drift in 1 modality" in e.label for e in app.expander)


def test_a_finding_shows_its_records_and_back_again(monkeypatch, log):
    app = opened(monkeypatch, log)
    app.radio[0].set_value(0).run()
    assert not app.exception
    assert app.query_params["cause"] == "image missing"
    assert app.query_params["since"] == "2026-05-07"
    wanted = [f"r{k:03d}" for k in range(120) if is_blank(k) and k % 3 == 0 and k % 4]
    assert sorted(table(app)["id"]) == wanted
    assert set(table(app)["cause"]) == {"image · missing"}
    assert app.radio[0].value == 0
    chips = [b for b in app.button if str(b.key).startswith("chip")]
    assert len(chips) == 3
    chips[0].click().run()
    assert "cause" not in app.query_params
    assert app.radio[0].value == -1


def test_pages_and_orders(monkeypatch, log):
    app = opened(monkeypatch, log, rows="all", order="least confident")
    first = table(app)
    assert first["confidence"].is_monotonic_increasing
    app.button(key="page on").click().run()
    assert app.query_params["page"] == "1"
    assert first["confidence"].max() <= table(app)["confidence"].min()
    assert "2 of 5" in said(app)


def test_without_labels_rows_with_a_cause_stand_in_for_failures(monkeypatch, unlabelled):
    app = opened(monkeypatch, unlabelled)
    assert not app.exception
    assert "15 rows with a cause" in said(app)
    assert set(table(app)["cause"]) == {"image · missing"}
    assert app.segmented_control[0].options == ["with a cause", "all rows"]
    assert [tab.label for tab in app.tabs] == ["Failure map", "Slices"]


def test_rows_without_an_answer_are_named(monkeypatch, tmp_path):
    log = make_log(tmp_path / "log", errors=3)
    app = opened(monkeypatch, log)
    assert not app.exception
    assert any("3 rows without an answer" in one.label for one in app.expander)
    assert "image\\_damaged" in said(app)
    errors = next(frame.value for frame in app.dataframe if "code" in frame.value.columns)
    assert list(errors["id"]) == ["e2", "e1", "e0"]


def test_a_finding_about_wrong_answers_shows_all_rows_without_a_cause_of_their_own():
    many = replace(BLANK, rule="unexplained", modality="pair", fault="mismatched", slice={"region": "east"})
    asked = Asked().follow(many)
    assert asked.follows(many)
    causes = asked.filter("gated", {"region": "text"}).cause.split("|")
    assert {"none none", "pair mismatched", "pair conflict", "label mislabelled"} == set(causes)


def test_a_finding_that_counts_right_answers_too_says_what_is_in_view():
    assert "answered wrongly are in view" in finding_caption(BLANK, True, failures=True)
    assert "in view" not in finding_caption(BLANK, True)
    assert "in view" not in finding_caption(BLANK, False, failures=True)


def test_without_a_diagnosis_it_says_how_to_make_one(monkeypatch, undiagnosed):
    app = opened(monkeypatch, undiagnosed)
    assert not app.exception
    assert "diagnose --model" in said(app)
    assert set(table(app)["cause"]) == {"not diagnosed"}


def test_a_damaged_diagnosis_is_named_and_the_rest_goes_on(monkeypatch, log, tmp_path):
    copy = tmp_path / "log"
    shutil.copytree(log, copy)
    path = run_folder(copy, "service") / "diagnosis" / "causes.parquet"
    path.write_bytes(path.read_bytes()[:-3] + b"xxx")
    app = opened(monkeypatch, copy)
    assert not app.exception
    assert "damaged" in said(app)
    assert len(table(app)) == 25


def test_an_address_of_nonsense_is_no_trouble(monkeypatch, log):
    app = opened(monkeypatch, log, cause="x", where="region=zzz&nowhere=1&&=", since="yesterday", page="-1", order="?")
    assert not app.exception
    assert "No row is among those asked for" in said(app)
    app = opened(monkeypatch, log, search="%_';--", rows="all")
    assert "No row is among those asked for" in said(app)


def test_an_empty_log_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "log").mkdir()
    app = opened(monkeypatch, tmp_path / "log")
    assert not app.exception
    assert "There is no prediction log to show" in said(app)


def test_a_record_of_the_log_opens_in_inspect_with_its_cause(monkeypatch, log):
    app = opened(monkeypatch, log, screen="inspect", set="log", record="r061", run="service")
    assert not app.exception
    assert not app.error
    (picker,) = [box for box in app.selectbox if str(box.key).startswith("record · ")]
    assert "r061" in picker.options[0]
    assert any(b.key == "to triage" for b in app.button)


def test_asking_survives_the_address():
    asked = Asked("image missing", {"region": "a&b=c", "age": "3"}, date(2026, 5, 1), None, "all", "x y", "oldest", 4)
    assert Asked.read(asked.for_link(True), True) == asked
    assert Asked.read({}, True) == Asked()
    assert Asked.read({"rows": "failures"}, False).rows == "caused"
    assert not any(Asked().for_link(True).values())


def test_what_is_asked_is_what_the_log_is_asked(log):
    asked = Asked().follow(BLANK)
    assert asked.follows(BLANK)
    with Store(log, "service") as store:
        every = asked.all_rows().filter("gated", store.slices)
        assert count(store, every) == sum(is_blank(k) for k in range(120))
        assert count(store, Asked(rows="all", where={"age": "3"}).filter("gated", store.slices)) == 3
        assert count(store, Asked(rows="all", where={"age": "three"}).filter("gated", store.slices)) == 120
        assert count(store, Asked(rows="all", where={"region": ""}).filter("gated", store.slices)) == 30
        assert count(store, Asked(rows="all", until=date(2026, 5, 1)).filter("gated", store.slices)) == 10
        assert count(store, Filter(cause="any")) == 15


def test_no_markup_of_data_works():
    assert "<b>" not in finding_caption(BLANK, True).replace("\\<b\\>", "")
    assert finding_title(BLANK, {}) == "**image · missing** · ×40.0"
    page = head_html(Head(10, 5, 3, 2, (3, 4), (5, 6), 0.05), "<i>")
    assert "<i>" not in page


def test_slices_and_releases_in_words():
    every = pd.DataFrame({"value": ["a", None], "rows": [10, 5], "accuracy": [0.5, 1.0], "low": [0.2, 0.6],
                          "high": [0.8, 1.0], "lift": [2.0, 0.1]})  # fmt: skip
    found = slice_table(every, pd.DataFrame({"value": ["a"], "rows": [4]}), labelled=True)
    assert list(found["value"]) == ["a", "(none)"]
    assert list(found["with a cause"]) == [0.4, 0.0]
    days = pd.DataFrame(
        {"bucket": pd.to_datetime(["2026-01-01", "2026-01-02", None]), "release": ["1", "1\n2 beta", "3"]}
    )
    assert first_days(days) == [(date(2026, 1, 2), "2 beta")]
