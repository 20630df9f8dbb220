"""What screens say of a model that was not fitted here, and of several models that have one name."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from dashboard.__main__ import main as start
from dashboard.compare_desk import offered_parts
from dashboard.inspection import inspect_record
from dashboard.options import workplaces
from dashboard.views.board import StrategyCard, payload
from dashboard.views.changes import changes_sentence, changes_table
from dashboard.views.labels import LABELS
from fusion_core.asked import Asked
from fusion_core.cli import main
from fusion_core.foreign import load_foreign
from fusion_core.own import load_object
from fusion_core.reading.records import read
from fusion_core.types import Record, SmallestChange
from tests.conftest import ROOT, SAMPLES
from tests.fusion_core.foreign.tiny import FAMILIES

NAMED = ("--labels", "red,blue")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A tiny CLIP and 24 records of the sample set, in a folder that may be written to."""
    folder = tmp_path_factory.mktemp("foreign")
    own, records = SAMPLES / "scene_qa" / "test", folder / "records"
    rows = [json.loads(line) for line in (own / "metadata.jsonl").read_text("utf-8").splitlines()[:24]]
    for row in rows:
        picture = records / row["image_file_name"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own / row["image_file_name"], picture)
    (records / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return FAMILIES["clip"](folder / "clip"), records


def opened(monkeypatch, *arguments, screen="inspect", **link):
    monkeypatch.setattr(sys, "argv", ["app.py", *map(str, arguments)])
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    for name, value in {"screen": screen, **link}.items():
        app.query_params[name] = value
    return app.run()


def test_a_prompt_for_the_decoders_beside_it_keeps_no_other_model_from_opening(monkeypatch, places):
    model, records = places
    app = opened(monkeypatch, "--model", model, "--records", records, "--prompt", "Which?", *NAMED)
    assert not app.exception
    assert not app.error


def test_a_prompt_that_no_model_is_told_is_refused_before_anything_opens(monkeypatch, capsys, places):
    model, _ = places
    monkeypatch.setattr(sys, "argv", ["dashboard", "--model", str(model), "--prompt", "Which?", *NAMED])
    with pytest.raises(SystemExit):
        start()
    assert "--prompt is for decoders, and none is opened" in capsys.readouterr().err


def test_no_training_record_is_offered_to_blame_for_an_answer_of_a_model_as_loaded(monkeypatch, places):
    model, records = places
    app = opened(monkeypatch, "--model", model, "--records", records, *NAMED)
    assert not app.exception
    button = app.button(key="ask influence")
    assert button.disabled
    assert button.help == "CLIP was not fitted here: which records it learned from is not known."
    assert not app.button(key="ask changes").disabled
    fitted = opened(monkeypatch, "--model", SAMPLES / "bundles" / "scene_qa", "--records", records)
    assert not fitted.button(key="ask influence").disabled


def test_a_comparison_made_on_the_command_line_is_shown_for_the_labels_it_was_made_with(monkeypatch, places):
    model, records = places
    named = ("--model", str(model), "--records", str(records))
    assert main(["compare", *named, *NAMED, "--faults", "none", "--out", str(records)]) == 0
    app = opened(monkeypatch, *named, *NAMED, screen="compare", part="set")
    assert not app.exception
    assert not any(button.key == "start comparison" for button in app.button)
    other = opened(monkeypatch, *named, "--labels", "red,green", screen="compare", part="set")
    assert any(button.key == "start comparison" for button in other.button)


def test_one_strategy_has_no_other_that_would_have_changed_anything():
    assert offered_parts(24, 2) == ["record", "set", "changed"]
    assert offered_parts(24, 1) == ["record", "set"]
    assert offered_parts(1, 2) == ["record"]


def test_a_name_begins_a_sentence_as_it_is_written():
    found = [SmallestChange("llava", "image_blur", "image", "px", 3.0, (1.0, 3.0), "yes", "no", 2)]
    assert changes_sentence(found, "llava").startswith("LLaVA leaves “yes” soonest by blur")
    assert list(changes_table(found, "llava").columns) == ["change", "flips at", "becomes"]


def test_models_of_one_name_are_told_apart_and_one_that_is_named_twice_is_there_once(tmp_path):
    folders = [tmp_path / "a" / "clip", tmp_path / "b" / "clip", tmp_path / "a" / "vilt", tmp_path / "a" / "clip"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    given = [part for folder in folders for part in ("--model", str(folder))]
    assert [place.name for place in workplaces([*given, "--model-object", "own.model:make"])] == [
        *("a/clip", "b/clip", "vilt", "own.model:make"),
    ]


class Listener:
    """A team's own model of sound, which reads samples and not log-mel."""

    name, classes, modalities, strategies = "listener", ("loud", "soft"), ("audio",), ("own",)

    def prepare(self, modality, raw):
        samples, rate = raw
        count = max(1, len(samples) // 4_000)
        spans = [(4_000 * n / rate, 4_000 * (n + 1) / rate) for n in range(count)]
        return torch.from_numpy(np.resize(samples, count * 4_000).copy()), spans

    def encode(self, modality, values):
        cut = values.unflatten(1, (-1, 4_000))
        return torch.stack([cut.square().mean(dim=2), cut.abs().mean(dim=2)], dim=2)

    def fuse(self, tokens, strategy):
        return tokens["audio"].mean(dim=1) if tokens else torch.zeros(1, 2)


def test_a_model_that_reads_samples_shows_a_waveform_and_no_spectrogram(monkeypatch):
    records = read(SAMPLES / "feedback" / "test").records
    record = next(r for r in records if r.audio is not None)
    monkeypatch.setattr(sys.modules[__name__], "make", Listener, raising=False)
    model = load_object(f"{__name__}:make", lambda: [record])
    found = inspect_record(model, record)
    assert found.audio is not None
    assert found.audio["spectrogram"] is None
    assert found.audio["peaks"]


def test_a_spectrogram_takes_as_long_as_its_frames_do(tmp_path):
    records = read(SAMPLES / "feedback" / "test").records
    record = next(r for r in records if r.audio is not None)
    model = load_foreign(
        FAMILIES["qwen2_audio"](tmp_path / "qwen2_audio"), Asked(labels=("a", "b")), lambda: records[:4]
    )
    shown = inspect_record(model, record).audio
    assert shown is not None
    assert shown["spectrogram"]["seconds"] == pytest.approx(shown["seconds"], abs=0.1)


def test_a_family_that_has_no_answer_without_a_picture_is_said_to_have_none(tmp_path, places):
    records = read(places[1]).records
    model = load_foreign(FAMILIES["flava"](tmp_path / "flava"), Asked(labels=("red", "blue")), lambda: records)

    def undecided(record):
        found = inspect_record(model, record)
        cards = [StrategyCard("flava", "FLAVA", "as loaded")]
        shown = payload(found.traces, image=found.image, audio=None, strategies=cards, labels=LABELS)
        return shown["strategies"][0]["prediction"]["undecided"]

    assert undecided(Record("worded", text="a red square"))
    assert not undecided(records[0])
