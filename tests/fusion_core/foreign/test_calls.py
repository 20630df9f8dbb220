"""Calls of the command line that a model as loaded cannot answer: one clear line, exit code 2."""

from __future__ import annotations

import pytest

from fusion_core.cli import main
from fusion_core.fit_plan import FitPlan
from fusion_core.fitting import run_fit
from fusion_core.reading.records import read
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.painted import painted
from tests.fusion_core.foreign.tiny import clip

RECORDS = ("--records", str(SAMPLES / "scene_qa" / "test"))
OWN = "tests.fusion_core.own_example:make"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return clip(tmp_path_factory.mktemp("calls") / "clip")


def refused(capsys, *words):
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.strip().splitlines()[-1]


def test_a_model_that_is_not_there_is_not_taken_for_a_bundle(capsys, tmp_path):
    gone = refused(capsys, "predict", "--model", tmp_path / "gone", "--labels", "a,b", *RECORDS)
    assert gone == "predict: there is no model at 'gone'"
    (tmp_path / "empty").mkdir()
    empty = refused(capsys, "predict", "--model", tmp_path / "empty", "--labels", "a,b", *RECORDS)
    assert "'empty' is not a bundle folder (a folder with a model.json) nor a Hugging Face directory" in empty


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--labels", "red,blue,red"), "--labels names 'red' more than once"),
        (("--labels", "red,blue", "--task", "match"), "give either --labels or --task, not both"),
        (("--labels", "red"), "--labels needs 2 to 1,000 labels; 1 were given"),
        ((), "say what to ask of this model"),
        (("--labels", "red,blue", "--prompt", "Which?"), "is no decoder: clip is told nothing but the record"),
    ],
)
def test_what_is_asked_wrongly_is_named(capsys, model, asked, said):
    assert said in refused(capsys, "predict", "--model", model, *asked, *RECORDS)


def test_labels_are_not_quietly_ignored_by_a_teams_own_model(capsys):
    line = refused(capsys, "predict", "--model-object", OWN, "--labels", "a,b", *RECORDS)
    assert line.endswith(f"{OWN} says by itself what it answers; leave out --labels, --task and --prompt")


def test_no_training_record_pushed_the_original_of_a_swap(capsys, tmp_path, model):
    records = painted(tmp_path / "painted", 60)
    run_fit(FitPlan("swap", read(records), strategies=("late",), model=model), tmp_path / "swap")
    capsys.readouterr()
    named = ("--model", tmp_path / "swap", "--encoder-root", model.parent, "--records", records, "--id", "r1")
    line = refused(capsys, "influence", *named, "--training", records, "--strategy", "clip")
    assert line.startswith("influence: of clip it is not known what was learned from which record")
