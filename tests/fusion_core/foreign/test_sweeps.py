"""Every family answers a record set into a log, rows in = ok + error, and its answers are those of `predict`."""

from __future__ import annotations

import json
import shutil

import pytest

from fusion_core.answers import answer_rows
from fusion_core.reading.records import read
from fusion_core.sweep.run import sweep
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.tiny import FAMILIES, SETS
from tests.fusion_core.sweeping import table_of


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Four good records and one whose file is missing, of each sample set."""
    made = {}
    for name in ("scene_qa", "feedback"):
        source, folder = SAMPLES / name / "test", tmp_path_factory.mktemp(name)
        lines = (source / "metadata.jsonl").read_text("utf-8").splitlines()[:5]
        rows = [json.loads(line) for line in lines]
        for key in [k for k in rows[0] if k.endswith("file_name")]:
            for row in rows[:4]:
                (folder / row[key]).parent.mkdir(exist_ok=True)
                shutil.copy(source / row[key], folder / row[key])
            rows[4][key] = "images/nowhere.webp"
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        made[name] = folder
    return made


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_sweeps_a_record_set_into_a_log(folders, small, tmp_path, name):
    records = small[SETS.get(name, "scene_qa")]
    done = sweep(folders(name), records, tmp_path / "log", "run", asked=LABELS)
    assert (done.rows, done.ok, done.error, done.answers) == (5, 4, 1, 4)
    table = table_of(tmp_path / "log", "run").sort_by("id").to_pylist()
    assert {row["strategy"] for row in table} == {name}
    assert all(row["prediction"] in LABELS.labels for row in table)


def test_a_sweep_says_what_predict_says(opened, folders, small, tmp_path):
    records = small["scene_qa"]
    sweep(folders("llava"), records, tmp_path / "log", "run", asked=LABELS)
    logged = {row["id"]: row["prediction"] for row in table_of(tmp_path / "log", "run").to_pylist()}
    said = {a.record.id: a.prediction.top for a in answer_rows(opened("llava"), read(records).records, ["llava"])
            if hasattr(a, "prediction")}  # fmt: skip
    assert logged == said
