"""Compare: cards, tables and sentences on made-up results, and the screen on full, minimal and empty input."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import session
from dashboard.uploads import Upload
from dashboard.views import compare_charts as charts
from dashboard.views import guide
from dashboard.views.changed import (
    View,
    by_record,
    changed_ids,
    changed_table,
    changes_html,
    columns_of,
    in_view,
)
from dashboard.views.compare import (
    calibration_words,
    fault_kinds,
    left_out_words,
    offered,
    progress_words,
    ranked,
    robustness_html,
    strategies_html,
    time_left,
    verdict_html,
)
from dashboard.views.one_record import StrategyCard, card, differs, tally
from dashboard.views.presence import presence_html
from dashboard.views.sketch import Picture, look_of
from fusion_core.answer_table import marks
from fusion_core.compare.changed import changes
from fusion_core.compare.plan import Settings
from fusion_core.compare.result import Against, Measured, StrategyCost
from fusion_core.compare.result_file import FILE_NAME, save_comparison
from fusion_core.errors import CallError
from fusion_core.reading.records import read
from fusion_core.types import AttentionScores, Check, Record
from tests.conftest import ROOT, SAMPLES
from tests.dashboard.small_log import make_log
from tests.dashboard.test_board import every_class, trace
from tests.fusion_core.made_comparison import made_comparison

BUNDLE = SAMPLES / "bundles" / "feedback"
SHAPES = {
    "full": {},
    "two modalities": {"modalities": ("text", "image")},
    "without labels": {"labelled": False},
    "one strategy": {"strategies": ("late",)},
    "first pieces": {"stage": "quality"},
    "without faults": {"stage": "measured"},
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def comparison(request):
    return made_comparison(**request.param)


# --- pure views ---------------------------------------------------------------------------------------------------


def test_every_table_and_chart_can_be_drawn_of_what_there_is(comparison):
    against = {r.strategy: r.against for r in comparison.strategies if r.against}
    page = strategies_html(comparison, against, comparison.baseline) + verdict_html(comparison)
    assert page.count("<tr") >= len(comparison.strategies)
    assert ("verdict-card" in page) == (comparison.verdict is not None)
    cells = sum(len(r.patterns) for r in comparison.strategies)
    assert presence_html(comparison).count("--h:") == cells
    for draw in (charts.reliance, charts.perceptual):
        draw(comparison)
    for kind in fault_kinds(comparison):
        assert len(charts.robustness(comparison, kind, ["late"]).data) == len(comparison.strategies)
        assert kind.split(".")[0] in robustness_html(comparison, kind)
    for report in comparison.strategies:
        charts.information(report)
        if report.quality:
            charts.calibration(report.quality.calibration)


def test_strategies_stand_by_accuracy_with_those_at_chance_last():
    found = made_comparison()
    chance = replace(found.strategies[-1], status="chance")
    found = replace(found, strategies=(*found.strategies[:-1], chance))
    assert [r.strategy for r in ranked(found)] == ["early", "concat", "late", "cross_attention"]
    page = strategies_html(found, {}, "late")
    assert "at chance level: not an answer" in page
    assert "0.90" not in page
    assert [r.strategy for r in offered(found)] == ["early", "concat", "late"]


def test_the_table_says_what_runs_today_and_what_is_recommended():
    found = made_comparison()
    beside = Against("late", Measured(0.3, 0.2, 0.4), 0.0002, 39, 3, 48)
    page = strategies_html(found, {"cross_attention": beside}, "late")
    assert 'cross-attention</b> <span class="tag best">recommended' in page
    assert 'late</b> <span class="tag">today' in page
    assert "+0.30 <small>(0.20 to 0.40)</small> <small>p &lt; 0.001" in page.replace("p < ", "p &lt; ")
    assert "39 / 3" in page


def test_a_verdict_stands_with_its_figures_and_no_markup_of_names_works():
    found = made_comparison()
    assert found.verdict is not None
    hostile = replace(found.verdict, message="<img src=x onerror=alert(1)>", evidence={"<b>": Measured(0.3, 0.2, 0.4)})
    page = verdict_html(replace(found, verdict=hostile))
    assert "<img" not in page
    assert "<b>" not in page.replace('<b style="', "")
    assert "0.300 <small>(0.200 to 0.400)" in page
    assert "needs relations between modalities" in page


def test_time_left_is_what_the_pace_says():
    assert time_left(10.0, 0, 10) == ""
    assert time_left(10.0, 5, 10) == "about 10 s left"
    assert time_left(600.0, 10, 30) == "about 20 min left"
    assert progress_words(None, "", 3.0) == (0.0, "Reading the records.")
    share, words = progress_words(made_comparison(stage="quality"), "encode 3 of 6", 6.0)
    assert 0 < share < 1
    assert "cost of late (encoded 3 of 6)" in words


def test_what_is_not_measured_is_said():
    assert "2 rows could not be read" in left_out_words(made_comparison())
    assert "no record has a label" in left_out_words(made_comparison(labelled=False))


def test_calibration_is_told_with_and_without_temperature():
    quality = made_comparison().strategies[0].quality
    assert quality is not None
    words = calibration_words(quality.calibration, quality.records)
    assert "ECE 0.080 (0.060 to 0.100)" in words
    assert "1.40" in words
    assert "from 0.090 (0.070 to 0.110) to 0.040 (0.020 to 0.060)" in words


def answers() -> pd.DataFrame:
    """Ten records, truth a; late is wrong on the first four; early fixes three of them and breaks the last."""
    rows = []
    for k in range(10):
        late, early = ("b" if k < 4 else "a"), ("b" if k in (3, 9) else "a")
        rows += [(f"r{k}", s, "ok", None, p, 0.9, "a", p == "a") for s, p in (("late", late), ("early", early))]
    columns = ["id", "strategy", "status", "code", "prediction", "confidence", "label", "correct"]
    return pd.DataFrame(rows, columns=columns)


def test_failures_in_view_are_told_from_what_is_changed():
    wide = by_record(answers())
    records = {f"r{k}": Record(f"r{k}", text="t", meta={"half": "x" if k < 2 else "y"}) for k in range(10)}
    failures = in_view(wide, "late", View(), records)
    assert failures == ["r0", "r1", "r2", "r3"]
    (one,) = changes(answers(), "late", failures)
    assert changed_ids(one, failures) == {"fixed": ["r0", "r1", "r2"], "broken": ["r9"], "both": ["r3"]}
    assert in_view(wide, "late", View(answered="b"), records) == failures
    assert in_view(wide, "late", View(answered="a"), records) == []
    assert in_view(wide, "late", View(column="half", value="x"), records) == ["r0", "r1"]
    assert in_view(wide, "late", View(label="c"), records) == []
    assert columns_of(list(records.values())) == {"half": ["x", "y"]}


def test_the_table_of_changes_counts_what_is_in_view():
    costs = {"late": StrategyCost(1, 0.5, 1.0), "early": StrategyCost(1, 2.6, 1.0)}
    page = changes_html(changes(answers(), "late", ["r0", "r3"]), "early", costs)
    assert "1 <small>of 2</small>" in page
    assert "<td>+2.1</td>" in page


def test_an_error_is_no_answer():
    failed = answers()
    failed.loc[(failed["id"] == "r0") & (failed["strategy"] == "early"), ["status", "prediction"]] = ["error", None]
    table = changed_table(["r0"], by_record(failed), "late", "early", {"r0": Record("r0", text="a\u202eb")}, [None])
    assert list(table.columns) == ["text", "today: late", "then: early", "truth", "id"]
    assert table.iloc[0]["then: early"] == "no answer"
    assert "\u202e" not in table.iloc[0]["text"]


# --- one record ---------------------------------------------------------------------------------------------------

ABOUT = StrategyCard("early", "trained", StrategyCost(600_000, 1.234, 2.4))
SMALL = Picture("data:image/webp;base64,AAAA", 60, 40)
PARTS = {"text": 3.0, "image": -1.0, "audio": 0.05}


def made(strategy="early", **changes):
    return replace(trace(strategy), ledgers=every_class(PARTS), **changes)


def test_a_card_says_answer_contributions_map_and_cost():
    page = card(ABOUT, made(), None, "", SMALL)
    assert "positive</strong><span>0.70" in page
    assert 'aria-label="wrong"' in page
    assert "+3.00 <small>± 0.12" in page
    assert 'class="against" style="width:16.7%"' in page
    assert 'class="for pale"' in page
    assert "text × image +0.21" in page
    assert "1.2 ms · 600 k weights" in page
    assert SMALL.uri in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_map_is_named_as_what_it_is():
    scores = {m: np.array([0.9, *[0.02] * (len(a.labels) - 1)]) for m, a in trace().axes.items()}
    views = tuple(AttentionScores(method, None, scores) for method in ("raw", "rollout"))
    inert = Check("attention_matters", 0.001, False, "attention here does not change this prediction")
    seen = look_of(made(scores=views, checks=(inert,)), "positive")
    assert seen is not None
    assert seen.name == "attention, rollout"
    assert seen.check == "✗ it does not change this answer"
    told = look_of(made(scores=()), "positive")
    assert told is not None
    assert told.name.startswith("attribution, occlusion to “positive”")
    assert look_of(made(scores=()), "negative") is None


def test_a_flat_attention_stays_pale():
    flat = {m: np.ones(len(a.labels)) for m, a in trace().axes.items()}
    seen = look_of(made(scores=(AttentionScores("rollout", None, flat),)), "positive")
    assert seen is not None
    assert max(float(s.max()) for s in seen.shades.values()) == 0.0


def test_those_that_answer_otherwise_are_marked():
    other = made("late")
    other = replace(other, prediction=replace(other.prediction, probabilities=np.array([0.9, 0.05, 0.05])))
    assert differs(made(), other)
    assert "≠ late" in card(ABOUT, made(), other, "", None)
    assert "≠" not in card(ABOUT, made(), made("late"), "", None)
    assert tally([made(), other], other) == "1 of 2 strategies are right; 1 of 1 answer otherwise than late."


def test_a_head_at_chance_shows_no_answer():
    page = card(replace(ABOUT, status="chance"), made(status="chance"), made("late"), "", SMALL)
    assert "At chance level" in page
    assert "positive" not in page
    assert tally([made(status="chance"), made("late")], None) == "0 of 1 strategies are right."


# --- the screen ---------------------------------------------------------------------------------------------------


def few(folder, count=6, labelled=True, modalities=("text", "image", "audio")):
    """Make a record set of the first sample records."""
    folder.mkdir()
    lines = (SAMPLES / "feedback" / "test" / "metadata.jsonl").read_text("utf-8").splitlines()[:count]
    rows = [json.loads(line) for line in lines]
    columns = {"text": "text", "image": "image_file_name", "audio": "audio_file_name"}
    kept = [columns[m] for m in modalities] + ["id", "vendor"] + (["label"] if labelled else [])
    for row in rows:
        for column in set(kept) & {"image_file_name", "audio_file_name"}:
            (folder / row[column]).parent.mkdir(exist_ok=True)
            shutil.copy(SAMPLES / "feedback" / "test" / row[column], folder / row[column])
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps({c: r[c] for c in kept}) for r in rows) + "\n")
    return folder


def opened(monkeypatch, *arguments, **address):
    monkeypatch.setattr(sys, "argv", ["app.py", *map(str, arguments)])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    for name, value in ({"screen": "compare"} | address).items():
        app.query_params[name] = value
    return app.run()


def at(records, *more):
    return ("--model", BUNDLE, "--records", records, *more)


def html(app) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def said(app) -> str:
    return " ".join(element.value for kind in (app.markdown, app.caption, app.info, app.error) for element in kind)


def test_a_record_stands_under_every_strategy_and_opens_in_inspect_under_one(monkeypatch, tmp_path):
    app = opened(monkeypatch, *at(few(tmp_path / "records")), record="fb-test-0002")
    assert not app.exception
    assert not app.error
    page = html(app)
    assert page.count('class="one-head"') == 10
    assert page.count("contribut") == 0
    assert "strategies are right" in said(app)
    assert app.query_params["screen"] == "compare"
    app.button(key="open late").click().run()
    assert not app.exception
    assert app.query_params["screen"] == "inspect"
    assert app.query_params["record"] == "fb-test-0002"
    assert app.query_params["strategy"] == "late"


def test_bars_and_maps_explain_the_truth_when_asked(monkeypatch, tmp_path):
    app = opened(monkeypatch, *at(few(tmp_path / "records")), record="fb-test-0002", explain="truth")
    assert "contributions to the truth, “neutral”" in said(app)
    assert app.query_params["explain"] == "truth"


def test_without_a_comparison_it_is_offered(monkeypatch, tmp_path):
    app = opened(monkeypatch, *at(few(tmp_path / "records")), part="set")
    assert not app.exception
    assert "Only 6 labelled records" in said(app)
    assert any(b.key == "start comparison" for b in app.button)


def test_a_saved_comparison_is_shown_at_once(monkeypatch, tmp_path):
    records = few(tmp_path / "records")
    save_comparison(made_comparison(), marks(BUNDLE, records), records / FILE_NAME)
    app = opened(monkeypatch, *at(records), part="set", today="late", fault="audio.noise")
    assert not app.exception
    assert not app.error
    assert "verdict-card" in html(app)
    assert "all of this is made up" in html(app)
    assert len(app.get("plotly_chart")) == 5
    assert app.query_params["fault"] == "audio.noise"
    assert len(app.get("download_button")) == 3


def test_it_runs_behind_the_screen_and_is_there_when_it_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr("dashboard.comparing.Settings", lambda baseline: Settings(baseline, faults="none"))
    app = opened(monkeypatch, *at(few(tmp_path / "records", 3)), part="set")
    app.button(key="start comparison").click().run()
    for _ in range(60):
        if not any(b.key == "stop comparison" for b in app.button):
            break
        time.sleep(1)
        app.run()
    assert not app.exception
    assert not app.error
    page = html(app)
    assert page.count("--h:") == 7 * 10
    assert "3 of 3 records have a label" in said(app).replace("\\", "")
    other = opened(monkeypatch, *at(tmp_path / "records"), part="set")
    assert html(other) == page


def test_what_is_found_of_an_upload_stays_with_its_browser(monkeypatch, tmp_path):
    monkeypatch.setattr("dashboard.comparing.Settings", lambda baseline: Settings(baseline, faults="none"))
    records = few(tmp_path / "records", 2)
    key = session._shelf().keep("a" * 32, Upload("mine", read(records), (), frozenset()))

    def visit(browser):
        monkeypatch.setattr(sys, "argv", ["app.py", "--model", str(BUNDLE)])
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
        app.session_state["browser"] = browser
        for name, value in {"screen": "compare", "set": key, "part": "set"}.items():
            app.query_params[name] = value
        return app.run()

    app = visit("a" * 32)
    assert "2 records of mine, 2 with a label" in said(app)
    app.button(key="start comparison").click().run()
    for _ in range(60):
        if not any(b.key == "stop comparison" for b in app.button):
            break
        time.sleep(1)
        app.run()
    assert html(app).count("--h:") == 7 * 10
    assert "mine" not in said(visit("b" * 32))


def test_a_job_that_failed_says_why_and_can_be_started_again(monkeypatch, tmp_path):
    def refuse(*given):
        raise CallError("there is no *space* left")

    monkeypatch.setattr("dashboard.comparing.Store", refuse)
    app = opened(monkeypatch, *at(few(tmp_path / "records", 3)), part="set")
    app.button(key="start comparison").click().run()
    time.sleep(0.5)
    app.run()
    assert "there is no *space* left" in app.error[0].value.replace("\\", "")
    assert any(b.key == "start comparison" for b in app.button)


def test_a_comparison_of_other_records_is_not_shown(monkeypatch, tmp_path):
    records = few(tmp_path / "records")
    save_comparison(made_comparison(), marks(BUNDLE, records) | {"records": "0" * 64}, records / FILE_NAME)
    app = opened(monkeypatch, *at(records), part="set")
    assert "made up" not in html(app)
    assert any(b.key == "start comparison" for b in app.button)


def test_what_would_have_changed_is_answered_first_and_told(monkeypatch, tmp_path):
    app = opened(monkeypatch, *at(few(tmp_path / "records", 12)), part="changed", today="late")
    assert "have to be answered under every strategy first" in said(app)
    app.button(key="answer for compare").click().run()
    assert not app.exception
    assert "of all 12 labelled records" in said(app)


def test_a_page_of_a_log_is_answered_under_every_strategy_first(monkeypatch, tmp_path):
    log = make_log(tmp_path / "log")
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", str(BUNDLE), "--log", str(log)])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.session_state["log rows"] = ("r061", "r062", "r063")
    link = {"screen": "compare", "set": "log", "record": "r061", "run": "service", "part": "changed"}
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert not app.error
    assert "The log holds the answers of the strategy that ran only" in said(app)
    app.button(key="answer for compare").click().run()
    assert not app.exception
    assert "labelled records" in said(app)


def test_without_labels_each_part_says_so(monkeypatch, tmp_path):
    records = few(tmp_path / "records", 3, labelled=False)
    app = opened(monkeypatch, *at(records))
    assert "truth not known" in said(app)
    assert "no truth is known" in said(app)
    app = opened(monkeypatch, *at(records), part="set")
    assert "No record has a label" in said(app)
    app = opened(monkeypatch, *at(records), part="changed")
    app.button(key="answer for compare").click().run()
    assert "No record of this set has a label" in said(app)


def test_a_set_of_one_record_with_one_modality_shows_it(monkeypatch, tmp_path):
    app = opened(monkeypatch, *at(few(tmp_path / "records", 1, modalities=("text",))), part="changed")
    assert not app.exception
    assert "absent" in html(app)
    assert "part" not in app.query_params


def test_a_set_without_a_readable_row_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "metadata.jsonl").write_text('{"text": ""}\n')
    app = opened(monkeypatch, *at(tmp_path / "records"))
    assert not app.exception
    assert [w.value for w in app.warning] == ["No row of this record set could be read."]


def test_the_help_page_reads_its_figures_and_leads_to_records(monkeypatch):
    app = opened(monkeypatch, screen="guide")
    assert not app.exception
    assert "Which fusion, when" in said(app)
    assert html(app).count("<li>") == len(guide.DECISIONS)
    app.button(key="show sq-test-0556 late").click().run()
    assert not app.exception
    assert app.query_params["record"] == "sq-test-0556"
    assert app.query_params["model"] == "scene_qa"


def test_the_help_page_types_no_figure_in():
    page = guide.strategies_html({})
    assert page.count("<tr>") == 1 + len(guide.STRATEGIES)
    words = guide.WHAT + guide.TRADE_OFFS + guide.decisions_html() + page
    assert not any(character.isdigit() for character in words.replace("420px", ""))
    assert "0.90 <small>(0.85 to 0.95)" in guide.strategies_html({"made up": made_comparison()})
