"""The screens by AppTest: what they say on full, minimal and empty input, and the guards on speed."""

from __future__ import annotations

import gc
import sys
import tomllib

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT, SAMPLES


def opened(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["app.py", *map(str, arguments)])
    return AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120).run()


def test_inspect_opens_on_the_samples_with_a_wrong_record_first(monkeypatch):
    app = opened(monkeypatch)
    assert not app.exception
    assert app.selectbox(key="model").options == ["feedback", "scene_qa"]
    picker = app.selectbox(key="record feedback")
    assert picker.options[0].startswith("✗")
    assert picker.options[-1].startswith("✓")
    assert "wrong, those first" in picker.label


def test_the_other_model_can_be_picked(monkeypatch):
    app = opened(monkeypatch)
    app.selectbox(key="model").set_value(1).run()
    assert not app.exception
    assert app.selectbox(key="record scene_qa").options[0].startswith("✗")


def test_a_model_without_records_asks_for_an_upload(monkeypatch, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "metadata.jsonl").write_text('{"text": ""}\n')
    app = opened(monkeypatch, "--model", SAMPLES / "bundles" / "feedback", "--records", tmp_path / "records")
    assert not app.exception
    assert [w.value for w in app.warning] == ["No row of this record set could be read."]


def test_a_damaged_bundle_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "model.json").write_text("{")
    app = opened(monkeypatch, "--model", tmp_path)
    assert not app.exception
    assert "is not JSON: it is cut or damaged" in app.error[0].value


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
