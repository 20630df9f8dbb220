"""Sweeps: a log that was killed and gone on with equals one that was not; one bad row costs one row."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
import torch

from fusion_core.answer_table import mark_records
from fusion_core.bundle import load, save
from fusion_core.cli import main
from fusion_core.errors import CallError
from fusion_core.log.parts import live_parts, run_folder
from fusion_core.log.upkeep import compact, erase
from fusion_core.model import FusedModel
from fusion_core.reading.records import read
from fusion_core.sweep import Plan, sweep
from fusion_core.sweep.chunks import ChunkWriter, Task, batches
from fusion_core.sweep.plan import begin
from fusion_core.sweep.workers import Workers
from tests.conftest import ROOT
from tests.fusion_core.sweeping import BUNDLE, perilous_model, perilous_work, table_of, write_records, write_rows

STRATEGIES = "gated,late"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def whole(records, tmp_path_factory):
    """The log of a sweep that nobody stopped, in chunks of 3."""
    log = tmp_path_factory.mktemp("log")
    sweep(BUNDLE, records, log, "killed", STRATEGIES, chunk=3, batch=2)
    return log


@pytest.fixture
def perilous(tmp_path):
    """What makes a plan over rows of given texts, its run begun."""

    def make(*texts, chunk=8, batch=4):
        folder = write_rows(tmp_path / "set", [{"id": f"r{k}", "text": text} for k, text in enumerate(texts)])
        rows, model = read(folder), perilous_model()
        mark = mark_records(rows.rows)
        plan = Plan(folder, "0" * 64, folder, mark, tmp_path / "log", "run", ("late", "early"), len(rows), chunk, batch)
        return plan, ChunkWriter(plan, model, rows, begin(plan, model, rows.rows, False))

    return make


def test_the_log_has_a_row_per_record_and_strategy_in_the_order_of_the_input(whole, records):
    table, errors = table_of(whole, "killed"), table_of(whole, "killed", "errors")
    good = read(records).records
    wanted = [(r.id, s) for r in good for s in ("gated", "late")]
    assert list(zip(table["id"].to_pylist(), table["strategy"].to_pylist(), strict=True)) == wanted
    assert [(e["strategy"], e["code"]) for e in errors.to_pylist()] == [(None, "file_missing"), (None, "duplicate_id")]
    row = table.to_pylist()[0]
    assert row["timestamp"] == datetime(2023, 11, 14, 22, 13, 20)
    assert (row["release"], row["latency_ms"], row["slice_Weird_name_"], row["slice_mixed"]) == ("1.0", 0, 0, "even")
    assert row["present"] == "text+image+audio"
    assert sum(row["probabilities"]) == pytest.approx(1)
    assert row["confidence"] == max(row["probabilities"])
    assert row["correct"] == (row["prediction"] == row["label"])
    for name in (row["image"], row["audio"]):
        assert (whole / "media" / name[:2] / name[2:4] / name).is_file()


def test_answers_are_those_of_the_model(whole, records):
    model, record = load(BUNDLE), read(records).records[0]
    _, tokens = model.encode_record(record)
    wanted = model.fuse(tokens, "gated")[0].softmax(0).tolist()
    assert table_of(whole, "killed").to_pylist()[0]["probabilities"] == pytest.approx(wanted, abs=1e-4)


def test_a_sweep_killed_again_and_again_ends_as_if_it_never_was(whole, records, tmp_path):
    command = [sys.executable, "-m", "tests.fusion_core.kill_sweeps", str(records), str(tmp_path), "6", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    for kind in ("parts", "errors"):
        assert table_of(tmp_path, "killed", kind).equals(table_of(whole, "killed", kind))


def test_worker_processes_write_the_same_log_and_a_killed_parent_is_gone_on_with(whole, records, tmp_path):
    flags = ["--run", "killed", "--strategy", STRATEGIES, "--chunk", "3", "--batch", "2", "--backend", "process"]
    given = ["sweep", "--model", BUNDLE, "--records", records, "--log", tmp_path, *flags, "--workers", "1"]
    command = [sys.executable, "-m", "fusion_core", *map(str, given)]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    manifest = tmp_path / "runs" / "killed" / "MANIFEST.jsonl"
    while not manifest.exists() and first.poll() is None:
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    said = []
    swept = sweep(BUNDLE, records, tmp_path, "killed", STRATEGIES, "process", True, workers=2, say=said.append)
    assert (swept.rows, swept.ok, swept.error) == (40, 76, 2)
    assert said[0].endswith("rows are in the log already")
    assert said[-1].startswith("40/40 rows, ")
    assert table_of(tmp_path, "killed", "errors").equals(table_of(whole, "killed", "errors"))
    ours, theirs = table_of(tmp_path, "killed"), table_of(whole, "killed")
    floats = ["confidence", "probabilities"]  # summed by one thread or by several
    assert ours.drop_columns(floats).equals(theirs.drop_columns(floats))
    for one, other in zip(ours["probabilities"].to_pylist(), theirs["probabilities"].to_pylist(), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_finished_sweep_is_not_answered_again(whole, records):
    before = live_parts(run_folder(whole, "killed"))
    said = []
    swept = sweep(BUNDLE, records, whole, "killed", STRATEGIES, resume=True, say=said.append)
    assert (swept.rows, swept.ok, swept.error) == (40, 76, 2)
    assert live_parts(run_folder(whole, "killed")) == before
    assert said == ["40 of 40 rows are in the log already"]


def test_upkeep_of_a_finished_run_is_left_alone_and_of_an_unfinished_one_refused(whole, records, tmp_path):
    shutil.copytree(whole, tmp_path / "log")
    compact(tmp_path / "log", "killed")
    assert sweep(BUNDLE, records, tmp_path / "log", "killed", STRATEGIES, resume=True).ok == 76
    erase(tmp_path / "log", read(records).records[0].id)
    with pytest.raises(CallError, match="merged or moved"):
        sweep(BUNDLE, records, tmp_path / "log", "killed", STRATEGIES, resume=True)
    assert len(table_of(tmp_path / "log", "killed")) == 74


def test_a_run_is_gone_on_with_only_as_what_it_began(whole, records, tmp_path):
    other = write_records(tmp_path / "other", 39)
    with pytest.raises(CallError, match="in the log already"):
        sweep(BUNDLE, records, whole, "killed", STRATEGIES)
    with pytest.raises(CallError, match="other records"):
        sweep(BUNDLE, other, whole, "killed", STRATEGIES, resume=True)
    with pytest.raises(CallError, match="other strategies"):
        sweep(BUNDLE, records, whole, "killed", "gated", resume=True)
    model = load(BUNDLE)
    model.heads = {"gated": model.heads["gated"], "late": model.heads["late"]}
    with torch.no_grad():
        next(model.heads["late"].parameters()).fill_(0.5)
    save(model, tmp_path / "refitted")
    with pytest.raises(CallError, match="another model"):
        sweep(tmp_path / "refitted", records, whole, "killed", STRATEGIES, resume=True)


def test_a_model_that_answers_nan_gives_errors_and_no_classes(records, tmp_path, capsys, monkeypatch):
    embed = FusedModel.embed

    def broken(self, tokens, strategy):
        logits, fused = embed(self, tokens, strategy)
        return (logits * float("nan") if strategy == "late" else logits), fused

    monkeypatch.setattr(FusedModel, "embed", broken)
    call = ["sweep", "--model", BUNDLE, "--records", records, "--log", tmp_path, "--strategy", STRATEGIES]
    assert main([str(part) for part in [*call, "--run", "nan"]]) == 3
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(line) == {"kind", "run", "rows", "ok", "error", "seconds"}
    assert (line["kind"], line["run"], line["rows"], line["ok"], line["error"]) == ("sweep", "nan", 40, 38, 40)
    errors = table_of(tmp_path, "nan", "errors").to_pylist()
    assert [e["code"] for e in errors if e["strategy"]] == ["nonfinite_output"] * 38
    assert {e["strategy"] for e in errors} == {"late", None}
    assert set(table_of(tmp_path, "nan")["strategy"].to_pylist()) == {"gated"}


def test_a_record_that_takes_all_memory_is_found_and_the_others_go_on(perilous):
    plan, writer = perilous("a", "bb", "memory", "ccc", "nan", "d", "e", "f", "g")
    for number in range(plan.chunks):
        writer.write(Task(number))
    table, errors = table_of(plan.log, "run"), table_of(plan.log, "run", "errors").to_pylist()
    assert table["id"].to_pylist()[::2] == ["r0", "r1", "r3", "r5", "r6", "r7", "r8"]
    assert [(e["id"], e["strategy"], e["code"]) for e in errors] == [
        ("r2", None, "resource_exhausted"),
        ("r4", "late", "nonfinite_output"),
        ("r4", "early", "nonfinite_output"),
    ]
    assert set(table["flags"].to_pylist()) == {"text-cut-to-its-first-of-characters"}


def test_a_record_that_kills_its_worker_is_found_and_the_others_go_on(perilous):
    plan, _ = perilous("a", "bb", "kill", "ccc", "dddd", "e", "f", "g", "h", chunk=6)
    with Workers(plan, 1, perilous_work) as pool:
        assert sorted(pool.run(range(plan.chunks))) == [0, 1]
    errors = table_of(plan.log, "run", "errors").to_pylist()
    assert [(e["id"], e["code"]) for e in errors] == [("r2", "resource_exhausted")]
    assert table_of(plan.log, "run")["id"].to_pylist()[::2] == ["r0", "r1", "r3", "r4", "r5", "r6", "r7", "r8"]


def test_a_part_whose_writer_died_before_it_was_listed_is_written_again(perilous):
    plan, writer = perilous("a", "b", "c")
    writer.write(Task(0))
    (plan.folder / "MANIFEST.jsonl").unlink()
    assert not live_parts(plan.folder).live
    writer.write(Task(0))
    assert [part.rows for part in live_parts(plan.folder).live] == [6]
    writer.write(Task(0))
    assert [part.rows for part in live_parts(plan.folder).live] == [6]
    writer.rows = (*writer.rows[:2], writer.rows[0])
    with pytest.raises(CallError, match="other rows"):
        writer.write(Task(0))


def test_batches_hold_rows_of_like_length_and_every_row_once(records):
    rows = read(records).rows
    groups = batches(rows, range(0, 40), 4)
    assert sorted(place for group in groups for place in group) == list(range(40))
    lengths = [len(rows[place].text) for group in groups[1:] for place in group if not rows[place].image]
    assert lengths == sorted(lengths)
