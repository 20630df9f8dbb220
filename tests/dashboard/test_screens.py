"""The screens by AppTest: what they say on full, minimal and empty input, and the guards on speed."""

from __future__ import annotations

import gc
import json
import re
import shutil
import sys
import tomllib

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.web import cli

from dashboard import session
from dashboard.__main__ import main
from dashboard.explaining import Wanted, explain_classes
from dashboard.inspection import classes_left, inspect_record
from dashboard.viewer import Selection
from dashboard.work import wanted_by
from fusion_core import trace
from fusion_core.errors import RecordError
from fusion_core.fusion import strategy
from tests.conftest import ROOT, SAMPLES


def opened(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["app.py", *map(str, arguments)])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.query_params["screen"] = "inspect"
    return app.run()


def picker(app):
    """Return the record picker: its key changes each time another control moves it."""
    (found,) = [box for box in app.selectbox if str(box.key).startswith("record · ")]
    return found


def test_inspect_opens_on_the_samples_with_a_wrong_record_first(monkeypatch):
    app = opened(monkeypatch)
    assert not app.exception
    assert app.selectbox(key="model").options == ["feedback", "scene_qa"]
    records = picker(app)
    assert records.options[0].startswith("✗")
    assert records.options[-1].startswith("✓")
    assert re.search(r"gated: \d+ of 300 wrong, those first$", records.label.replace("\\", ""))


def test_the_other_model_can_be_picked(monkeypatch):
    app = opened(monkeypatch)
    app.selectbox(key="model").set_value(1).run()
    assert not app.exception
    assert picker(app).options[0].startswith("✗")
    assert not app.info


def test_a_record_set_without_a_readable_row_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "metadata.jsonl").write_text('{"text": ""}\n')
    app = opened(monkeypatch, "--model", SAMPLES / "bundles" / "feedback", "--records", tmp_path / "records")
    assert not app.exception
    assert [w.value for w in app.warning] == ["No row of this record set could be read."]


def test_a_damaged_bundle_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "model.json").write_text("{")
    app = opened(monkeypatch, "--model", tmp_path)
    assert not app.exception
    assert "it is cut or damaged" in app.error[0].value


def test_the_collector_does_not_walk_the_model_after_every_run(monkeypatch):
    opened(monkeypatch)
    assert gc.get_freeze_count() > 0
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert config["runner"]["postScriptGC"] is False


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("server", "address", "127.0.0.1"),
        ("server", "enableXsrfProtection", True),
        ("server", "enableCORS", True),
        ("server", "maxUploadSize", 100),
        ("browser", "gatherUsageStats", False),
        ("client", "showErrorDetails", "none"),
    ],
)
def test_the_server_is_closed_by_default(section, name, value):
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert config[section][name] == value


def test_the_guards_hold_wherever_the_command_is_started(monkeypatch, tmp_path):
    started = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dashboard", "--no-browser", "--port", "8765", "--records", str(tmp_path)])
    monkeypatch.setattr(cli, "main", lambda: started.extend(sys.argv))
    main()
    flags, content = started[: started.index("--")], started[started.index("--") + 1 :]
    assert {
        "--server.address=127.0.0.1",
        "--server.port=8765",
        "--server.headless=true",
        "--server.maxUploadSize=100",
        "--server.enableXsrfProtection=true",
        "--server.enableCORS=true",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--client.toolbarMode=minimal",
        "--runner.postScriptGC=false",
    } <= set(flags)
    assert content == ["--records", str(tmp_path)]


def test_another_address_needs_a_statement_about_its_guard(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["dashboard", "--address", "0.0.0.0"])
    monkeypatch.setattr(cli, "main", lambda: pytest.fail("the server was started"))
    with pytest.raises(SystemExit):
        main()


@pytest.fixture
def four_records(tmp_path):
    """Return a folder of four sample records, without answers."""
    source = SAMPLES / "feedback" / "test"
    folder = tmp_path / "own"
    lines = (source / "metadata.jsonl").read_text("utf-8").splitlines()[:4]
    for line in lines:
        for file in (json.loads(line).get("image_file_name"), json.loads(line).get("audio_file_name")):
            if file:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, folder / file)
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def test_a_set_without_answers_can_be_answered_so_that_wrong_ones_stand_first(monkeypatch, four_records):
    app = opened(monkeypatch, "--model", SAMPLES / "bundles" / "feedback", "--records", four_records)
    assert not app.exception
    before = picker(app)
    assert before.label.endswith("not answered yet")
    assert all(line.startswith("·") for line in before.options)
    offer = app.button(key="answer all")
    assert offer.label == "Answer all 4 records"
    offer.click().run()
    assert not app.exception
    after = picker(app)
    assert "of 4 wrong" in after.label
    marks = [line[0] for line in after.options]
    assert len(marks) == 4
    assert after.options[0].split()[1] in str(after.value)
    assert marks == sorted(marks, key="✗·✓".index)
    assert "·" not in marks
    assert "answer all" not in [button.key for button in app.button]


def test_answering_a_set_gives_others_their_turn_after_every_chunk(monkeypatch, four_records):
    monkeypatch.setattr(session, "CHUNK", 1)
    turns, taken = session.turns(), []
    whole = turns.take

    def take(waiting):
        taken.append(waiting)
        return whole(waiting)

    monkeypatch.setattr(turns, "take", take)
    app = opened(monkeypatch, "--model", SAMPLES / "bundles" / "feedback", "--records", four_records)
    before = len(taken)
    app.button(key="answer all").click().run()
    assert not app.exception
    assert len(taken) - before == 4


def test_a_presenter_gets_past_a_record_that_cannot_be_read(monkeypatch, four_records):
    row = json.loads((four_records / "metadata.jsonl").read_text("utf-8").splitlines()[0])
    (four_records / row["image_file_name"]).write_bytes(b"no image at all")
    arguments = ["app.py", "--model", SAMPLES / "bundles" / "feedback", "--records", four_records]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.query_params["screen"] = "present"
    app.run()
    assert not app.exception
    assert "is no image by its first bytes" in app.error[0].value.replace("\\", "")
    app.button(key="Next presented").click().run()
    assert not app.exception
    assert not app.error


def test_what_is_dear_is_worked_out_only_where_it_is_shown():
    loaded = session.model(str(SAMPLES / "bundles" / "scene_qa"))
    found = inspect_record(loaded, session.record_set(str(SAMPLES / "scene_qa" / "test")).records[0])
    own = {t.strategy: t.prediction.top for t in found.traces}

    def asked(**chosen):
        return wanted_by(Selection(**{"strategy": "early", "seam": "input", **chosen}), found)

    usual = "integrated_gradients"
    assert asked() == []
    assert asked(view="attribution") == [Wanted("early", usual, "input", own["early"])]
    assert asked(view="attribution", seam="fusion") == []
    assert asked(view="attribution", seam="fusion", method="occlusion", against="red", target="blue") == [
        Wanted("early", "occlusion", "fusion", "blue", "red")
    ]
    assert asked(strategy="late", target="purple") == [Wanted("late", usual, "input", "purple")]
    assert asked(beside="late") == [Wanted(name, usual, "input", own["early"]) for name in ("early", "late")]


def test_a_strategy_that_answers_with_nan_leaves_the_others_their_answers(monkeypatch):
    whole = trace.trace_prepared

    def broken(model, record, inputs, tokens, strategy, question):
        if strategy == "late":
            raise RecordError("late answered with NaN or infinity", "nonfinite_output", record.id)
        return whole(model, record, inputs, tokens, strategy, question)

    monkeypatch.setattr(trace, "trace_prepared", broken)
    bundle = SAMPLES / "bundles" / "scene_qa"
    record = session.record_set(str(SAMPLES / "scene_qa" / "test")).records[0]
    found = inspect_record(session.model(str(bundle)), record)
    assert found.failures == {"late": "late answered with NaN or infinity"}
    assert [t.strategy for t in found.traces] == [name for name in strategy if name != "late"]


@pytest.mark.parametrize("id", ["sq-test-0001", "sq-test-0247"])
def test_what_fills_in_later_is_every_other_class_the_likely_ones_first(id):
    """The second is answered wrongly: its true class is explained at once, and its attention is not."""
    loaded = session.model(str(SAMPLES / "bundles" / "scene_qa"))
    found = inspect_record(loaded, session.record_set(str(SAMPLES / "scene_qa" / "test")).find(id))
    left = classes_left(loaded, found)
    likely = [max(t.prediction.probabilities[loaded.classes.index(name)] for t in found.traces) for name in left]
    assert likely == sorted(likely, reverse=True)
    more = explain_classes(loaded, found, left)
    for trace_ in found.traces:
        later = [part for one in more.explained[trace_.strategy] for part in one.parts]
        explained = [a.target for a in (*trace_.attributions, *later)]
        assert sorted(explained) == sorted(loaded.classes)
        assert {a.seam for a in later} == {"fusion"}
        assert all(a.error <= 0.05 for a in later)
        classwise = [view.target for view in (*trace_.scores, *more.scores[trace_.strategy]) if view.target]
        assert sorted(classwise) == (sorted(loaded.classes) if trace_.scores else [])


def test_the_next_record_can_be_stepped_to(monkeypatch):
    app = opened(monkeypatch)
    first, options = picker(app).value, picker(app).options
    app.button(key="Next record").click().run()
    assert not app.exception
    assert picker(app).value != first
    assert picker(app).value in options[1]
    app.button(key="Previous record").click().run()
    assert picker(app).value == first


def test_a_link_to_somebody_elses_upload_says_so_and_shows_a_sample(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py"])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.query_params["set"] = "someone-elses"
    app.query_params["record"] = "upload"
    app.run()
    assert not app.exception
    assert "made in another browser" in app.warning[0].value
    assert not app.info
    assert picker(app).value.startswith("fb-test-")


def test_a_link_to_a_record_that_is_not_there_says_so(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py"])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.query_params["record"] = "no-such-record"
    app.run()
    assert "which is not in this set" in app.info[0].value


def test_a_record_that_cannot_be_read_is_one_sentence_and_the_next_one_opens(monkeypatch, four_records):
    row = json.loads((four_records / "metadata.jsonl").read_text("utf-8").splitlines()[0])
    (four_records / row["image_file_name"]).write_bytes(b"no image at all")
    app = opened(monkeypatch, "--model", SAMPLES / "bundles" / "feedback", "--records", four_records)
    assert not app.exception
    assert "is no image by its first bytes" in app.error[0].value.replace("\\", "")
    app.button(key="Next record").click().run()
    assert not app.exception
    assert not app.error


def test_media_the_model_does_not_read_are_not_decoded(monkeypatch, four_records):
    rows = [json.loads(line) for line in (four_records / "metadata.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        (four_records / row["audio_file_name"]).write_bytes(b"no audio at all")
    app = opened(monkeypatch, "--model", SAMPLES / "bundles" / "scene_qa", "--records", four_records)
    assert not app.exception
    assert not app.error
