"""A run of a log, diagnosed: every row ends as a cause or an error; what was found is kept, damaged or forgotten."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.bundle import load
from fusion_core.capture import Recorder
from fusion_core.cli import main
from fusion_core.diagnose import build, log_run
from fusion_core.diagnose.failures import FEWEST, failure_map
from fusion_core.diagnose.reference_file import NUMBERS, WORDS, load_reference
from fusion_core.errors import CallError
from fusion_core.log.asking import Filter
from fusion_core.log.caused import by_cause, cause_timeline, causes_of, failure_points
from fusion_core.log.diagnosed import CAUSES, Diagnosed, causes_path, load_diagnosis, save_diagnosis
from fusion_core.log.imports import import_log
from fusion_core.log.kept import media_path
from fusion_core.log.parts import create_run, rows_table, write_part
from fusion_core.log.queries import count, page
from fusion_core.log.runs import run_folder, runs
from fusion_core.log.schema import Logged, Run
from fusion_core.log.store import Store
from fusion_core.log.upkeep import erase
from fusion_core.reading.media import read_media
from fusion_core.reading.records import read
from tests.conftest import SAMPLES
from tests.dashboard.small_log import BLANK, CLASSES, START, make_log

BUNDLE = str(SAMPLES / "bundles" / "feedback")
ROWS = 12


def spoken(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def small(tmp_path):
    return make_log(tmp_path / "log")


def test_every_row_of_a_run_ends_as_a_record_or_an_error_and_is_kept(tmp_path, capsys):
    log = make_log(tmp_path / "log", diagnosed=False, rows=ROWS)
    with Store(log, "service") as store:
        rows = page(store)
        gone = rows["image"].iloc[0]
        lost = list(rows["id"][rows["image"] == gone])
    media_path(log, gone).unlink()
    assert main(["diagnose", "--model", BUNDLE, "--log", str(log)]) == 3
    lines = spoken(capsys)
    errors = {line["id"]: line["code"] for line in lines if line["kind"] == "error"}
    records = [line["id"] for line in lines if line["kind"] == "record"]
    assert errors == dict.fromkeys(lost, "file_missing")
    assert sorted([*records, *errors]) == [f"r{k:03d}" for k in range(ROWS)]
    with Store(log) as store:
        kept = store.opened[0].diagnosed
        assert kept is not None
        assert (kept.rows, kept.unread, kept.strategy) == (len(records), len(errors), "gated")
        assert by_cause(store)["rows"].sum() == ROWS
        assert set(causes_of(store, records)["id"]) == set(records)
        assert causes_of(store, lost).empty


def test_a_log_of_two_runs_is_asked_which(tmp_path, capsys):
    log = make_log(tmp_path / "log", diagnosed=False, rows=4)
    shutil.copytree(run_folder(log, "service"), run_folder(log, "other"))
    entry = run_folder(log, "other") / "run.json"
    entry.write_text(entry.read_text().replace('"service"', '"other"'))
    assert main(["diagnose", "--model", BUNDLE, "--log", str(log)]) == 2
    assert "other, service; name one with --run" in capsys.readouterr().err
    assert main(["diagnose", "--model", BUNDLE]) == 2
    assert main(["diagnose", "--model", BUNDLE, "--records", "x", "--run", "service"]) == 2


TOLD = 24  # rows of an imported or recorded log, the last eight without their image


def told_by(log, how):
    """Put what a service said of real records into a log, by an imported table or by a recorder; return its answers."""
    records = read(SAMPLES / "feedback" / "test").records[:TOLD]
    said = {r.id: str(r.label) if k % 3 else CLASSES[k % 2] for k, r in enumerate(records)}
    if how == "recorder":
        with Recorder(log, CLASSES) as recorder:
            for k, r in enumerate(records):
                image = None if k >= TOLD - 8 else read_media(r.image)
                recorder.record(id=r.id, text=r.text, image=image, audio=read_media(r.audio), prediction=said[r.id],
                                label=r.label)  # fmt: skip
        return said
    folder = log.parent / "theirs"
    folder.mkdir()
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text", "image", "audio", "prediction", "label"])
        for k, r in enumerate(records):
            names = [f"{r.id}.png", f"{r.id}.wav"]
            for name, media in zip(names, (r.image, r.audio), strict=True):
                (folder / name).write_bytes(read_media(media))
            rows.writerow([r.id, r.text, "" if k >= TOLD - 8 else names[0], names[1], said[r.id], r.label])
    import_log(folder / "rows.csv", log)
    return said


@pytest.mark.parametrize(("how", "strategy"), [("import", "imported"), ("recorder", "served")])
def test_a_log_of_others_is_diagnosed_under_its_own_strategy(tmp_path, capsys, how, strategy):
    log = tmp_path / "log"
    said = told_by(log, how)
    assert main(["diagnose", "--model", BUNDLE, "--log", str(log)]) == 0
    lines = spoken(capsys)
    assert [line["id"] for line in lines if line["kind"] == "record"]
    assert [f["rule"] for f in lines if f["kind"] == "finding" and f["modality"] == "image"] == ["image_missing"]
    (run,) = runs(log)
    with Store(log, run) as store:
        kept = store.opened[0].diagnosed
        assert kept is not None
        assert (kept.strategy, kept.rows) == (strategy, TOLD)
        table = pq.read_table(causes_path(run_folder(log, run))).to_pylist()
        assert {row["strategy"] for row in table} == {strategy}
        assert count(store, Filter(strategy=kept.strategy, cause="image missing")) == 8
        # What failed is what the service got wrong, whatever the bundle's head would say.
        labels = {r.id: r.label for r in read(SAMPLES / "feedback" / "test").records[:TOLD]}
        wrong = {id for id, word in said.items() if word != labels[id]}
        assert count(store, Filter(correct=False)) == len(wrong) > 0


def test_a_run_of_several_strategies_is_asked_which(tmp_path, capsys):
    log = make_log(tmp_path / "log", diagnosed=False, rows=6, strategies=("one", "two"))
    call = ["diagnose", "--model", BUNDLE, "--log", str(log)]
    assert main(call) == 2
    told = capsys.readouterr().err
    assert "strategies 'one', 'two'" in told
    assert "none is 'gated'" in told
    assert "--log-strategy" in told
    assert main([*call, "--log-strategy", "three"]) == 2
    assert "no strategy 'three'; it has 'one', 'two'" in capsys.readouterr().err
    assert main([*call, "--log-strategy", "two"]) == 0
    found = load_diagnosis(run_folder(log, "service"))
    assert found is not None
    assert (found.strategy, found.rows) == ("two", 3)
    assert main(["diagnose", "--model", BUNDLE, "--records", "x", "--log-strategy", "two"]) == 2


def test_confidence_is_the_logged_one(tmp_path, monkeypatch):
    log = make_log(tmp_path / "log", diagnosed=False, rows=3)
    seen = []
    monkeypatch.setattr(log_run, "findings", lambda rows, *rest: seen.extend(rows) or [])
    with Store(log, "service") as store:
        log_run.diagnose_run(load(Path(BUNDLE)), load_reference(Path(BUNDLE)), store)
        logged = {entry["id"]: entry["confidence"] for entry in page(store).to_dict("records")}
    assert {row.id: row.confidence for row in seen} == pytest.approx(logged)


def test_a_reference_of_too_few_records_leaves_the_bundles_as_it_was(tmp_path, capsys):
    bundle, few = tmp_path / "bundle", tmp_path / "few"
    shutil.copytree(BUNDLE, bundle)
    few.mkdir()
    records = read(SAMPLES / "feedback" / "test").records[:3]
    rows = [{"id": r.id, "text": r.text, "label": r.label} for r in records]
    (few / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = {name: (bundle / name).read_bytes() for name in (NUMBERS, WORDS)}
    assert main(["diagnose", "--model", str(bundle), "--reference", str(few), "--records", str(few)]) == 2
    assert "3 of 3 records can be read and have a label" in capsys.readouterr().err
    assert {name: (bundle / name).read_bytes() for name in (NUMBERS, WORDS)} == before


def test_records_left_out_of_a_reference_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build, "LEAST_RECORDS", 20)
    bundle, some, one = tmp_path / "bundle", tmp_path / "some", tmp_path / "one"
    shutil.copytree(BUNDLE, bundle)
    records = read(SAMPLES / "feedback" / "test").records[:24]
    rows = [{"id": r.id, "text": r.text, "label": r.label} for r in records]
    for folder, own in ((some, [*rows, rows[0], {"id": "bad", "text": "x", "image": "gone.png"}]), (one, rows[:1])):
        folder.mkdir()
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    assert main(["diagnose", "--model", str(bundle), "--reference", str(some), "--records", str(one)]) == 3
    errors = {line["id"]: line["code"] for line in spoken(capsys) if line["kind"] == "error"}
    assert set(errors.values()) == {"duplicate_id", "file_missing"}
    assert load_reference(bundle).records == 24


def test_a_set_without_rows_is_refused(tmp_path, capsys):
    (tmp_path / "metadata.csv").write_text("id,text\n")
    assert main(["diagnose", "--model", BUNDLE, "--records", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "has no rows" in said.err


def test_questions_about_causes(small):
    with Store(small, "service") as store:
        assert count(store, Filter(cause="image missing")) == count(store, Filter(cause="any")) == 15
        assert count(store, Filter(cause="'; DROP VIEW causes; --")) == 0
        found = by_cause(store, Filter(correct=False))
        assert dict(zip(found["cause"], found["rows"], strict=True)) == {"none none": 25, "image missing": 5}
        days = cause_timeline(store, Filter(cause="image missing"))
        assert days["rows"].sum() == 15
        assert str(days["bucket"].min().date()) == BLANK.since
        points = failure_points(store, Filter(correct=False))
        assert len(points) == 30
        assert set(points["cluster"]) <= {0, 1}
        with pytest.raises(CallError, match="allowed are day and hour"):
            cause_timeline(store, None, "week")


def test_a_record_that_was_answered_and_diagnosed_twice_is_counted_as_often_as_it_was_answered(tmp_path):
    run = Run("served", ("no", "yes"), ("text",), {}, "recorder")
    folder = create_run(tmp_path, run)
    names = ["dup", "dup", "one", *(f"r{k}" for k in range(8))]
    rows = [Logged(name, s, "yes", 0.5, timestamp=START, label="no") for name in names for s in ("late", "early")]
    write_part(folder, "parts", rows_table(rows, run), 0)
    said = [("none none", 0.9), ("image missing", 0.4), ("image missing", 0.8)]
    causes = [
        {"id": name, "strategy": "late", "cause": cause, "score": score, "rule": "", "said": "", "x": k, "y": 0.0}
        for k, (name, (cause, score)) in enumerate(zip(names, said, strict=False))
    ]
    found = Diagnosed("served", "late", "m", 3, 0, ())
    save_diagnosis(folder, pa.Table.from_pylist([{**c, "cluster": 0} for c in causes], schema=CAUSES), found)
    with Store(tmp_path, "served") as store:
        for asked in (Filter(), Filter(strategy="late"), Filter(cause="any"), Filter(cause="none none")):
            assert by_cause(store, asked)["rows"].sum() == count(store, asked)
            assert cause_timeline(store, asked)["rows"].sum() == count(store, asked)
        late = by_cause(store, Filter(strategy="late"))
        assert dict(zip(late["cause"], late["rows"], strict=True)) == {"not diagnosed": 8, "image missing": 3}
        assert failure_points(store)["id"].tolist() == ["dup", "dup", "one"]
        assert causes_of(store, ["dup", "one"])["cause"].tolist() == ["image missing"] * 2


def test_a_damaged_diagnosis_is_refused_and_named(small):
    folder = run_folder(small, "service")
    path = causes_path(folder)
    whole = path.read_bytes()
    for place in (10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CallError, match="diagnose again"):
            load_diagnosis(folder)
    path.write_bytes(whole)
    summary = path.with_name("diagnosis.json")
    told = summary.read_text()
    for other in (told[:-20], told.replace('"format": 1', '"format": 2'), "[]", told.replace('"since"', '"sinse"')):
        summary.write_text(other)
        with pytest.raises(CallError, match="damaged"):
            load_diagnosis(folder)
    with Store(small, "service") as store:
        assert "diagnose again" in store.said
        assert count(store) == 120


def test_an_erased_record_is_forgotten_by_the_diagnosis_too(small):
    erase(small, "r061")
    found = load_diagnosis(run_folder(small, "service"))
    assert found is not None
    assert found.rows == 119
    assert all("r061" not in one.record_ids for one in found.findings)
    assert "r061" not in pq.read_table(causes_path(run_folder(small, "service")))["id"].to_pylist()


def test_a_new_diagnosis_takes_the_place_of_the_last_and_the_store_sees_it(small):
    folder = run_folder(small, "service")
    with Store(small, "service") as store:
        known = load_diagnosis(folder)
        assert known is not None
        save_diagnosis(folder, CAUSES.empty_table(), replace(known, rows=0, findings=()))
        assert store.refresh()
        assert count(store, Filter(cause="any")) == 0
        assert not store.refresh()


def test_failures_driven_alike_lie_together():
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 11)) * 6
    features = [centres[k % 3] + random.normal(size=11) for k in range(120)]
    features[5] = np.full(11, np.nan)
    places = failure_map(features, 3)
    assert places[5] is None
    groups = [{p.cluster for p in places[k::3] if p is not None and p.cluster >= 0} for k in range(3)]
    assert all(len(group) == 1 for group in groups)
    assert len(set.union(*groups)) == 3
    assert failure_map(features, 3) == places
    assert failure_map(features[: FEWEST - 1], 3) == [None] * (FEWEST - 1)
