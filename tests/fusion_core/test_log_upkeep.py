"""Compacting, retaining and erasing keep every row that is to stay, once, and nothing of what is to go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pyarrow.parquet as pq
import pytest

from fusion_core.capture import Recorder, sink
from fusion_core.cli import main
from fusion_core.errors import CallError
from fusion_core.log import kept, upkeep
from fusion_core.log.manifest import MANIFEST
from fusion_core.log.parts import (
    create_run,
    errors_table,
    keep_media,
    live_parts,
    media_path,
    next_number,
    rows_table,
    write_part,
)
from fusion_core.log.queries import count, page, row
from fusion_core.log.schema import Logged, LoggedError, Run
from fusion_core.log.store import Store
from fusion_core.log.upkeep import compact, erase, retain
from tests.conftest import ROOT

RUN = Run("a", ("no", "yes"), ("text",), {}, "recorder")
DAY = datetime(2026, 5, 1)


@pytest.fixture
def log(tmp_path):
    """Return a log of two runs with ten parts of ten rows each, an hour apart, and some error rows."""
    for name in ("a", "b"):
        folder = create_run(tmp_path, Run(name, ("no", "yes"), ("text",), {}, "recorder"))
        for part in range(10):
            numbers = range(part * 10, part * 10 + 10)
            rows = [Logged(f"r{k}", "late", "yes", 0.5, timestamp=DAY + timedelta(hours=k)) for k in numbers]
            write_part(folder, "parts", rows_table(rows, RUN), part)
        for part in range(2):
            lost = [LoggedError(f"r{part}", None, "image_damaged", "cut", DAY + timedelta(hours=part))]
            write_part(folder, "errors", errors_table(lost), part)
    return tmp_path


def ids(log, run: str) -> list[str]:
    folder = log / "runs" / run
    return [i for part in live_parts(folder).of("parts") for i in pq.read_table(folder / part.file)["id"].to_pylist()]


def test_compacting_keeps_all_rows_in_their_order(log):
    before = ids(log, "a")
    done = compact(log, "a")
    assert (done.parts_before, done.parts_after, done.rows_removed) == (12, 2, 0)
    assert ids(log, "a") == before
    assert len(list((log / "runs/a/parts").iterdir())) == 1
    assert compact(log, "a").parts_after == 2


def test_compacting_leaves_damaged_parts_alone_and_names_them(log):
    path = log / "runs/a/parts/part-00003.parquet"
    damaged = path.read_bytes()[:-1]
    path.write_bytes(damaged)
    done = compact(log, "a")
    assert [(run, d.part.file) for run, d in done.damaged] == [("a", "parts/part-00003.parquet")]
    assert path.read_bytes() == damaged
    assert len(ids(log, "a")) == 90


def test_a_part_that_a_damaged_line_named_is_not_swept(log):
    manifest = log / "runs/a" / MANIFEST
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0].replace("{", "<", 1), *lines[1:]]) + "\n")
    done = compact(log, "a")
    assert "damaged" in done.notes[0]
    assert (log / "runs/a/parts/part-00000.parquet").exists()
    assert lines[0].replace("{", "<", 1) in manifest.read_text().splitlines()


def test_a_part_that_a_torn_line_named_is_not_swept(log):
    manifest = log / "runs/a" / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-30])
    done = compact(log, "a")
    assert (done.parts_after, len(ids(log, "a"))) == (2, 100)
    assert (log / "runs/a/errors/part-00001.parquet").exists()
    assert done.notes


def test_retaining_drops_older_rows_from_both_tables(log):
    write_part(log / "runs/a", "parts", rows_table([Logged("timeless", "late", "yes", 0.5)], RUN), 10)
    done = retain(log, "a", DAY + timedelta(hours=15))
    assert done.rows_removed == 17  # r0 to r14 and both errors
    assert ids(log, "a") == [*(f"r{k}" for k in range(15, 100)), "timeless"]
    assert not live_parts(log / "runs/a").of("errors")
    assert len(ids(log, "b")) == 100


def test_erasing_takes_one_record_from_every_run_and_only_it(log):
    done = erase(log, "r1")
    assert done.rows_removed == 2 + 2
    for run in ("a", "b"):
        assert ids(log, run) == [f"r{k}" for k in range(100) if k != 1]
    everything = b"".join(p.read_bytes() for p in log.rglob("*.parquet"))
    assert b"image_damaged" in everything
    with Store(log) as store:
        assert row(store, "r1") == ()
    assert erase(log, "r1").rows_removed == 0
    assert erase(log, "'; DROP TABLE answered; --").rows_removed == 0


def test_erasing_takes_media_that_no_other_row_names(log):
    own, shared = keep_media(log, b"own", "png"), keep_media(log, b"shared", "wav")
    rows = [
        Logged("x", "late", "yes", 0.5, image=own, audio=shared),
        Logged("y", "late", "yes", 0.5, image="../../../etc/passwd", audio=None),
    ]
    write_part(log / "runs/a", "parts", rows_table(rows, RUN), 10)
    write_part(log / "runs/b", "parts", rows_table([Logged("z", "late", "yes", 0.5, audio=shared)], RUN), 10)
    assert erase(log, "x").media_removed == (own,)
    assert media_path(log, shared).exists()
    assert erase(log, "y").media_removed == ()
    assert erase(log, "z").media_removed == (shared,)


def test_media_that_are_kept_again_while_their_last_row_is_erased_stay(tmp_path, monkeypatch):
    """The recorder has found the picture kept, and has not named it yet, when the only row that did is erased."""
    with Recorder(tmp_path, ("no", "yes")) as recorder:
        recorder.record(id="first", prediction="yes", image=b"picture")
    erasing = threading.Thread(target=erase, args=(tmp_path, "first"))
    place = sink.write_part

    def write(folder, kind, *more):
        erasing.start()
        erasing.join(1.0)  # time enough to drop the picture, were it not for the lock
        return place(folder, kind, *more)

    monkeypatch.setattr(sink, "write_part", write)
    with Recorder(tmp_path, ("no", "yes")) as recorder:
        recorder.record(id="second", prediction="yes", image=b"picture")
    erasing.join()
    with Store(tmp_path) as store:
        assert row(store, "first") == ()
        (found,) = row(store, "second")
    assert media_path(tmp_path, found.logged.image).read_bytes() == b"picture"
    monkeypatch.undo()
    assert erase(tmp_path, "second").media_removed == (found.logged.image,)


def test_without_locks_media_that_were_just_kept_are_not_dropped(log, monkeypatch):
    monkeypatch.setattr(kept, "fcntl", None)
    names = [keep_media(log, data, "png") for data in (b"old", b"kept again")]
    for name in names:
        os.utime(media_path(log, name), (1, 1))
    keep_media(log, b"kept again", "png")
    rows = [Logged("x", "late", "yes", 0.5, image=name) for name in names]
    write_part(log / "runs/a", "parts", rows_table(rows, RUN), 10)
    done = erase(log, "x")
    assert done.media_removed == (names[0],)
    assert done.notes == (f"{names[1]} was kept within the last hour and stays",)
    assert media_path(log, names[1]).exists()


def test_what_a_killed_writer_left_goes_with_the_next_upkeep(log):
    parts = log / "runs/a/parts"
    shutil.copy(parts / "part-00000.parquet", parts / "part-00077.parquet")
    (parts / ".part-00011.parquet.0123.tmp").write_bytes(b"half of r1")
    erase(log, "r1")
    assert not [p for p in parts.iterdir() if p.name.startswith(".") or "77" in p.name]


def test_an_open_store_says_that_the_log_has_changed(log):
    with Store(log, "a") as store:
        assert not store.refresh()
        compact(log, "a")
        with pytest.raises(CallError, match="open it again"):
            page(store)
        assert store.refresh()
        assert count(store) == 100


def test_upkeep_of_a_run_that_is_not_there_is_refused(log):
    for call in (lambda: compact(log, "c"), lambda: retain(log, "../a", DAY)):
        with pytest.raises(CallError):
            call()


def test_parts_of_many_bytes_are_finished_however_few_their_rows(log, monkeypatch):
    size = max(p.bytes for p in live_parts(log / "runs/a").of("parts"))
    monkeypatch.setattr(upkeep, "FEWEST_BYTES", size + 1)
    monkeypatch.setattr(upkeep, "MOST_BYTES", 2 * (size + 1))
    before = ids(log, "a")
    assert 1 < compact(log, "a").parts_after < 12
    assert ids(log, "a") == before


def test_the_command_compacts_retains_and_erases(log, capsys):
    def keep(*flags):
        code = main(["keep", "--log", str(log), *flags])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else None

    code, line = keep("--compact")
    assert (code, line["kind"], line["done"], line["runs"]) == (0, "keep", "compact", ["a", "b"])
    assert (line["parts_before"], line["parts_after"], line["rows_removed"]) == (24, 4, 0)
    write_part(log / "runs/a", "parts", rows_table([Logged("x", "late", "yes", 0.5, image=None)], RUN), 20)
    code, line = keep("--erase", "r1", "r2", "nobody")
    assert (code, line["done"], line["rows_removed"], line["media_removed"]) == (0, "erase", 6, 0)
    assert ids(log, "b") == [f"r{k}" for k in range(100) if k not in (1, 2)]
    code, line = keep("--run", "a", "--retain", str((datetime.now() - DAY).days - 2))
    assert (code, line["done"], line["runs"], ids(log, "b")[0]) == (0, "retain", ["a"], "r0")
    assert 0 < len(ids(log, "a")) < 60
    path = next((log / "runs/b/parts").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    code, line = keep("--erase", "r5")
    assert code == 3
    assert path.name in line["damaged"][0]


@pytest.mark.parametrize(
    "flags",
    [[], ["--compact", "--retain", "3"], ["--retain", "0"], ["--retain", "nan"], ["--run", "a", "--erase", "x"],
     ["--run", "none", "--compact"], ["--run", "../a", "--compact"]],
)  # fmt: skip
def test_the_command_refuses_what_is_unclear(log, flags):
    assert main(["keep", "--log", str(log), *flags]) == 2
    assert len(ids(log, "a")) == 100


def test_the_command_refuses_a_log_that_is_not_there(tmp_path, capsys):
    assert main(["keep", "--log", str(tmp_path / "none"), "--erase", "x"]) == 2
    assert "has no run" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from fusion_core.log.parts import next_number, rows_table, write_part
from fusion_core.log.schema import Logged, Run
from fusion_core.log.upkeep import compact
log = Path(sys.argv[1])
run, folder = Run("a", ("no", "yes"), ("text",), {}, "recorder"), log / "runs/a"
rng = random.Random(5)
written = 100
for turn in range(10):
    for _ in range(3):
        rows = [Logged(f"r{k}", "late", "yes", 0.5) for k in range(written, written + 10)]
        write_part(folder, "parts", rows_table(rows, run), next_number(folder, "parts"))
        written += 10
    child = os.fork()
    if not child:
        compact(log, "a", grace=600.0 * (turn % 2))  # as an operator does, and as a recorder does
        os._exit(0)
    time.sleep(rng.uniform(0.0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(written)
"""


def test_kills_while_compacting_lose_and_repeat_nothing(log):
    done = subprocess.run([sys.executable, "-c", KILLED, str(log)], capture_output=True, text=True, cwd=ROOT)
    assert not done.returncode, done.stderr
    written = int(done.stdout)
    assert not live_parts(log / "runs/a").damaged
    assert sorted(ids(log, "a")) == sorted(f"r{k}" for k in range(written))
    compact(log, "a")
    assert sorted(ids(log, "a")) == sorted(f"r{k}" for k in range(written))
    assert next_number(log / "runs/a", "parts") > 10
