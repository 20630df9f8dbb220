"""The recorder: a clean end loses nothing, a crash no more than the queue, and the request never hears of any of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from fusion_core.capture import Entry, Recorder, lost_entries, sink
from fusion_core.errors import CallError
from fusion_core.log import parts as log_parts
from fusion_core.log.parts import live_parts, read_run, run_folder, runs
from fusion_core.log.queries import count, page
from fusion_core.log.store import Store
from tests.conftest import ROOT
from tests.fusion_core.sweeping import table_of

CLASSES = ("no", "yes")
PNG = b"\x89PNG\r\n\x1a\n rest"


def fill(recorder, count, start=0, **more):
    for number in range(start, start + count):
        recorder.record(id=f"r{number}", prediction="yes", probabilities=[0.25, 0.75], **more)


def ids(log, run="served"):
    table = table_of(log, run)
    return [] if table is None else table["id"].to_pylist()


def run_python(code, log, **more):
    """Run code in a process of its own, with `log` and a recorder of a part every minute."""
    head = "import os, signal, sys, time\nfrom fusion_core.capture import Recorder\nlog = sys.argv[1]\n"
    make = "recorder = Recorder(log, ('no', 'yes'), every=60, rows=1000)\n"
    text = head + make + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text, str(log)], cwd=ROOT, capture_output=True, text=True, **more)


def test_an_entry_is_a_row_with_all_it_was_given(tmp_path):
    with Recorder(tmp_path, CLASSES, release="2.4.1", model="m") as recorder:
        recorder.record(
            id=7, text="hi", image=PNG, audio=b"??", prediction="no", probabilities={"yes": 0.1, "no": 0.9},
            label="yes", latency_ms=12, timestamp=1_700_000_000.5, slices={"Lang": "de", "size": 3, "a b": None},
            flags=["text cut to 3 (of 9)"],
        )  # fmt: skip
    (row,) = table_of(tmp_path, "served-2.4.1").to_pylist()
    assert (row["id"], row["strategy"], row["prediction"], row["correct"]) == ("7", "served", "no", False)
    assert row["probabilities"] == pytest.approx([0.9, 0.1])
    assert row["confidence"] == pytest.approx(0.9)
    assert (row["release"], row["latency_ms"], row["present"]) == ("2.4.1", 12, "text+image+audio")
    assert row["timestamp"].isoformat() == "2023-11-14T22:13:20.500000"
    assert (row["slice_Lang"], row["slice_size"], row["flags"]) == ("de", 3.0, "text-cut-to")
    assert row["image"].endswith(".png")
    assert row["audio"].endswith(".bin")
    assert log_parts.media_path(tmp_path, row["image"]).read_bytes() == PNG
    run = read_run(tmp_path, "served-2.4.1")
    assert (run.source, run.classes, run.model) == ("recorder", CLASSES, "m")


@pytest.mark.parametrize("end", ["recorder.close()", "recorder.__exit__(None, None, None)", "", "sys.exit(3)"])
def test_a_clean_end_loses_nothing(tmp_path, end):
    code = f"for n in range(500): recorder.record(id=n, prediction='yes', image=b'%d' % (n % 5))\n{end}"
    assert run_python(code, tmp_path).returncode == (3 if "exit(3)" in end else 0)
    assert ids(tmp_path) == [str(n) for n in range(500)]
    assert len(live_parts(run_folder(tmp_path, "served")).live) == 1
    assert not list((tmp_path / "recorders").iterdir())


def test_a_crash_loses_what_waited_and_the_next_start_says_how_many(tmp_path):
    code = """
        for n in range(2000): recorder.record(id=n, prediction='yes')
        while recorder.counts.written < 2000: time.sleep(0.01)
        for n in range(2000, 2300): recorder.record(id=n, prediction='yes')
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run_python(code, tmp_path).returncode == -signal.SIGKILL
    assert len(ids(tmp_path)) == 2000
    (lost,) = lost_entries(tmp_path)
    assert (lost.run, lost.entries) == ("served", 300)
    with Recorder(tmp_path, CLASSES) as recorder:
        assert recorder.lost == (lost,)
        fill(recorder, 1, start=9999)
    assert ids(tmp_path)[-1] == "r9999"
    assert len(set(ids(tmp_path))) == len(ids(tmp_path))


def test_a_running_recorder_is_none_that_crashed(tmp_path):
    with Recorder(tmp_path, CLASSES, every=60) as recorder:
        fill(recorder, 3)
        assert recorder.counts.recorded == 3
        assert lost_entries(tmp_path) == ()


def test_parts_are_written_after_a_time_or_a_number_of_entries(tmp_path):
    with Recorder(tmp_path, CLASSES, every=0.05, rows=1000) as recorder:
        fill(recorder, 3)
        assert wait_for(lambda: recorder.counts.written == 3)
    with Recorder(tmp_path, CLASSES, every=60, rows=10) as recorder:
        fill(recorder, 10)
        assert wait_for(lambda: recorder.counts.written == 10)


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_a_full_queue_drops_and_counts_and_does_not_wait(tmp_path, monkeypatch):
    gate = threading.Event()
    written = log_parts.write_part
    monkeypatch.setattr("fusion_core.capture.sink.write_part", lambda *a: (gate.wait(30), written(*a))[1])
    recorder = Recorder(tmp_path, CLASSES, queue=50, every=60, rows=10)
    started = time.monotonic()
    fill(recorder, 200)
    assert time.monotonic() - started < 5
    assert (recorder.counts.recorded, recorder.counts.dropped) == (50, 150)
    gate.set()
    recorder.close()
    assert ids(tmp_path) == [f"r{n}" for n in range(50)]
    assert (recorder.counts.written, recorder.counts.dropped) == (50, 150)
    with Recorder(tmp_path, CLASSES, queue_bytes=10_000, every=60) as recorder:
        fill(recorder, 3, image=b"x" * 4000)
        assert (recorder.counts.recorded, recorder.counts.dropped) == (2, 1)


def test_a_thousand_small_parts_end_as_few_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: None)  # a thousand of them take most of the time
    with Recorder(tmp_path, CLASSES, every=60, rows=5) as recorder:
        fill(recorder, 5_000, image=b"one")
        assert wait_for(lambda: recorder.counts.written == 5_000, 60)
    assert recorder.last_failure == ""
    assert len(live_parts(run_folder(tmp_path, "served")).live) <= sink.SMALL_PARTS + 1
    assert sorted(ids(tmp_path)) == sorted(f"r{n}" for n in range(5_000))


def test_a_question_goes_on_while_the_recorder_puts_parts_together(tmp_path, monkeypatch):
    monkeypatch.setattr(sink, "SMALL_PARTS", 3)
    with Recorder(tmp_path, CLASSES, every=60, rows=2) as recorder:
        fill(recorder, 4)
        assert wait_for(lambda: recorder.counts.written == 4)
        with Store(tmp_path) as store:
            fill(recorder, 8, start=4)
            assert wait_for(lambda: recorder.counts.written == 12)
            assert wait_for(lambda: len(live_parts(run_folder(tmp_path, "served")).live) < 6)
            assert page(store)["id"].tolist() == ["r3", "r2", "r1", "r0"]
            assert store.refresh()
            assert count(store) == 12


LONG = "x" * 900


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({"slices": {f"s{k}": LONG for k in range(20)}}, 18_000),
        ({"slices": {LONG + str(k): k for k in range(20)}}, 18_000),
        ({"id": "x" * 20_000}, 20_000),
        ({"flags": [LONG + str(k) for k in range(20)]}, 18_000),
        ({"text": "\U0001f600" * 5_000}, 20_000),
        ({"label": "x" * 20_000}, 20_000),
        ({"probabilities": [0.5] * 1_000}, 24_000),
        ({"probabilities": {LONG + str(k): 0.1 for k in range(20)}}, 18_000),
    ],
    ids=["slices", "names of slices", "id", "flags", "emoji", "label", "probabilities", "classes"],
)
def test_all_that_an_entry_holds_counts_towards_the_bytes_that_wait(tmp_path, given, least):
    with Recorder(tmp_path, CLASSES, queue_bytes=60_000, every=60) as recorder:
        for number in range(20):
            recorder.record(**{"id": number, "prediction": "yes", **given})
        counts = recorder.counts
        assert 60_000 // (least + 8_000) <= counts.recorded <= 60_000 // least
        assert counts.recorded + counts.dropped == 20
    assert recorder._bytes == 0


def test_a_slice_that_is_a_long_text_costs_its_entry_and_is_said(tmp_path):
    with Recorder(tmp_path, CLASSES) as recorder:
        fill(recorder, 1, slices={"page": "x" * 1_000})
        fill(recorder, 1, start=1, slices={"page": "x" * 1_001})
    assert (recorder.counts.written, recorder.counts.dropped) == (1, 1)
    assert recorder.last_failure == "ValueError: a slice of 1,001 characters; at most 1,000 are kept"


def test_redact_sees_every_entry_before_it_waits(tmp_path):
    def redact(entry: Entry) -> Entry | None:
        if entry.id == "r1":
            raise ValueError("no")
        if entry.id == "r2":
            return None
        return Entry(entry.id, entry.prediction, entry.time, text="[gone]")

    with Recorder(tmp_path, CLASSES, redact=redact) as recorder:
        fill(recorder, 5, text="secret", image=b"secret")
    assert ids(tmp_path) == ["r0", "r3", "r4"]
    assert (recorder.counts.dropped, recorder.last_failure) == (2, "ValueError: no")
    assert set(table_of(tmp_path, "served")["text"].to_pylist()) == {"[gone]"}
    assert not (tmp_path / "media").exists()
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_share_of_the_ids_is_recorded_and_the_same_everywhere(tmp_path):
    for name in ("a", "b"):
        with Recorder(tmp_path, CLASSES, run=name, share=0.3) as recorder:
            fill(recorder, 2000)
        assert recorder.counts.left_out + recorder.counts.recorded == 2000
    assert ids(tmp_path, "a") == ids(tmp_path, "b")
    assert 500 < len(ids(tmp_path, "a")) < 700


@pytest.mark.parametrize("redact", [None, lambda entry: entry])
def test_what_the_caller_changes_afterwards_changes_nothing(tmp_path, redact):
    with Recorder(tmp_path, CLASSES, every=60, redact=redact) as recorder:
        shares, flags, picture, size = np.zeros(2, np.float32), ["one"], bytearray(PNG), np.array(3.0)
        slices = {"size": size, "list": [1]}
        for number in range(4):
            shares[:] = [number / 4, 1 - number / 4]
            more = {"probabilities": shares, "confidence": shares[1:].reshape(()), "flags": flags, "slices": slices}
            recorder.record(id=number, prediction="yes", image=picture, audio=memoryview(picture), **more)
            picture[-1] += 1
            flags.append("another")
            size += 1
            slices["list"].append(number)
    rows = table_of(tmp_path, "served").to_pylist()
    assert [row["probabilities"] for row in rows] == [[k / 4, 1 - k / 4] for k in range(4)]
    assert [row["confidence"] for row in rows] == [1 - k / 4 for k in range(4)]
    assert [row["slice_size"] for row in rows] == [3.0, 4.0, 5.0, 6.0]
    assert [row["slice_list"] for row in rows] == ["[1]", "[1, 0]", "[1, 0, 1]", "[1, 0, 1, 2]"]
    assert [row["flags"].count("one") for row in rows] == [1] * 4
    assert "another" not in rows[0]["flags"]
    for number, row in enumerate(rows):
        kept = PNG[:-1] + bytes([PNG[-1] + number])
        assert log_parts.media_path(tmp_path, row["image"]).read_bytes() == kept


class Odd:
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"id": "x"},
        {"id": Odd(), "prediction": "yes"},
        {"id": "x", "prediction": "maybe"},
        {"id": "x", "prediction": "yes", "probabilities": [0.5]},
        {"id": "x", "prediction": "yes", "probabilities": [0.5, float("nan")]},
        {"id": "x", "prediction": "yes", "probabilities": [0.5, 0.7]},
        {"id": "x", "prediction": "yes", "probabilities": [-0.5, 1.5]},
        {"id": "x", "prediction": "yes", "probabilities": {"yes": 0.9}},
        {"id": "x", "prediction": "yes", "confidence": 93},
        {"id": "x", "prediction": "yes", "confidence": -0.5},
        {"id": "x", "prediction": "yes", "confidence": 1e30},
        {"id": "x", "prediction": "yes", "confidence": float("nan")},
        {"id": "x", "prediction": "yes", "probabilities": 3},
        {"id": "x", "prediction": "yes", "probabilities": {"other": 1.0}},
        {"id": "x", "prediction": "yes", "image": "a path"},
        {"id": "x", "prediction": "yes", "image": 7},
        {"id": "x", "prediction": "yes", "slices": 3},
        {"id": "x", "prediction": "yes", "slices": {"odd": Odd()}},
        {"id": "x", "prediction": "yes", "timestamp": "yesterday"},
        {"id": "x", "prediction": "yes", "timestamp": 1e300},
        {"id": "x", "prediction": "yes", "timestamp": 1_795_643_934_580_863_136},
        {"id": "x", "prediction": "yes", "latency_ms": "slow"},
        {"id": "x", "prediction": "yes", "text": "x" * 1_000_001},
        {"id": "x", "prediction": "yes", "colour": "red"},
    ],
)
def test_nothing_reaches_the_request_and_every_failure_is_counted(tmp_path, given):
    with Recorder(tmp_path, CLASSES) as recorder:
        recorder.record(**given)
        fill(recorder, 2)
    counts = recorder.counts
    assert (counts.written, counts.dropped + counts.failed) == (2, 1)
    assert recorder.last_failure
    assert ids(tmp_path) == ["r0", "r1"]


def test_slices_that_turn_up_later_are_kept_in_a_run_that_has_them(tmp_path):
    with Recorder(tmp_path, CLASSES, every=60, rows=2) as recorder:
        for number, slices in enumerate([{"a": 1}, {}, {"a": 2, "B": "x"}, {"a": "two"}, {"b": "y"}, {"a": 1}]):
            recorder.record(id=number, prediction="no", slices=slices)
            wait_for(lambda done=number - number % 2: recorder.counts.written >= done)
    assert sum(len(ids(tmp_path, run)) for run in runs(tmp_path)) == 6
    last = read_run(tmp_path, runs(tmp_path)[-1])
    assert dict(last.slices) == {"a": "text", "B": "text", "b_2": "text"}
    before = runs(tmp_path)
    with Recorder(tmp_path, CLASSES) as recorder:
        fill(recorder, 1, slices={"a": 1, "b": "z"})
    assert runs(tmp_path) == before
    with Recorder(tmp_path, ("other", "classes")) as recorder:
        recorder.record(id=1, prediction="other")
    assert len(runs(tmp_path)) == len(before) + 1


def test_a_disk_that_cannot_be_written_is_waited_for(tmp_path, monkeypatch):
    full = threading.Event()
    full.set()
    written = log_parts.write_part

    def write(*given):
        if full.is_set():
            raise CallError("the disk is full", "resource_exhausted")
        return written(*given)

    monkeypatch.setattr("fusion_core.capture.sink.write_part", write)
    with Recorder(tmp_path, CLASSES, every=0.02) as recorder:
        fill(recorder, 5)
        assert wait_for(lambda: "disk is full" in recorder.last_failure)
        assert recorder.counts.failed == 0
        full.clear()
        assert wait_for(lambda: recorder.counts.written == 5)
    assert ids(tmp_path) == [f"r{n}" for n in range(5)]


def test_a_disk_that_stays_full_ends_as_failures_and_close_returns(tmp_path, monkeypatch):
    def write(*given):
        raise CallError("the disk is full", "resource_exhausted")

    monkeypatch.setattr("fusion_core.capture.sink.write_part", write)
    with Recorder(tmp_path, CLASSES, every=0.02) as recorder:
        fill(recorder, 5)
    assert (recorder.counts.written, recorder.counts.failed) == (0, 5)


def test_an_entry_that_spoils_its_batch_costs_itself_only(tmp_path, monkeypatch):
    def table(rows, run):
        if any(row.id == "r3" for row in rows):
            raise CallError("this row does not fit")
        return log_parts.rows_table(rows, run)

    monkeypatch.setattr("fusion_core.capture.sink.rows_table", table)
    with Recorder(tmp_path, CLASSES) as recorder:
        fill(recorder, 5)
    assert ids(tmp_path) == ["r0", "r1", "r2", "r4"]
    assert (recorder.counts.written, recorder.counts.failed) == (4, 1)


def test_two_recorders_on_one_log_lose_and_overwrite_nothing(tmp_path):
    def work(name):
        with Recorder(tmp_path, CLASSES, every=0.01, rows=7) as recorder:
            for number in range(100):
                recorder.record(id=f"{name}{number}", prediction="no", slices={"who": name})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [id for run in runs(tmp_path) for id in ids(tmp_path, run)]
    assert sorted(found) == sorted(f"{name}{n}" for name in "abc" for n in range(100))
    assert len(runs(tmp_path)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_its_own_entries_and_not_its_parents(tmp_path):
    code = """
        for n in range(50): recorder.record(id=f"p{n}", prediction='yes')
        child = os.fork()
        name = 'p' if child else 'c'
        for n in range(50, 100): recorder.record(id=f"{name}{n}", prediction='yes')
        if child:
            assert os.waitpid(child, 0)[1] == 0
        recorder.close()
    """
    done = run_python(code, tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    wanted = [f"p{n}" for n in range(100)] + [f"c{n}" for n in range(50, 100)]
    assert sorted(ids(tmp_path)) == sorted(wanted)


def test_children_of_multiprocessing_write_at_their_end(tmp_path):
    code = """
        import multiprocessing
        def work(name):
            for n in range(20): recorder.record(id=f"{name}{n}", prediction='no')
        fork = multiprocessing.get_context('fork')
        children = [fork.Process(target=work, args=(name,)) for name in 'ab']
        work('p')
        for child in children: child.start()
        for child in children: child.join()
    """
    done = run_python(code, tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted(ids(tmp_path)) == sorted(f"{name}{n}" for name in "abp" for n in range(20))


def test_after_close_entries_are_dropped_and_counted(tmp_path):
    recorder = Recorder(tmp_path, CLASSES)
    fill(recorder, 2)
    recorder.close()
    recorder.close()
    fill(recorder, 3, start=10)
    assert (recorder.counts.written, recorder.counts.dropped) == (2, 3)
    assert ids(tmp_path) == ["r0", "r1"]
    assert len(live_parts(run_folder(tmp_path, "served")).live) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"share": 2},
        {"queue": 0},
        {"classes": ("a", "a")},
        {"classes": (0, 1)},
        {"classes": (b"a", b"b")},
        {"log": "file"},
        {"log": "taken"},
        {"run": "../elsewhere"},
        {"run": "a/b"},
        {"model": 5},
        {"release": 24},
        {"release": "\ud800"},
    ],
)
def test_a_recorder_that_cannot_be_is_refused_at_once(tmp_path, given):
    (tmp_path / "file").write_text("", "utf-8")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "recorders").write_text("", "utf-8")
    before = sorted(tmp_path.rglob("*"))
    more = {"classes": CLASSES, **given, "log": tmp_path / given.get("log", "log")}
    with pytest.raises(CallError), contextlib.closing(Recorder(**more)):
        pass
    assert sorted(tmp_path.rglob("*")) == before
