"""Parts of a log are whole or not there, whatever kills the writer; damage is found and named; names stay inside."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest

from fusion_core.errors import CallError, RecordError
from fusion_core.log import manifest
from fusion_core.log.parts import (
    create_run,
    errors_table,
    keep_media,
    live_parts,
    media_path,
    next_number,
    read_run,
    rows_table,
    runs,
    write_part,
)
from fusion_core.log.schema import Logged, LoggedError, Run
from tests.conftest import ROOT

RUN = Run("day-1", ("no", "yes"), ("text", "image"), {"language": "text", "age": "number"}, "recorder")


def rows(start: int, number: int) -> list[Logged]:
    return [Logged(f"r{k}", "late", "yes", 0.5, label="no", text=f"text {k}") for k in range(start, start + number)]


@pytest.fixture
def folder(tmp_path):
    return create_run(tmp_path / "log", RUN)


def ids(folder) -> list[str]:
    return [i for part in live_parts(folder).of("parts") for i in pq.read_table(folder / part.file)["id"].to_pylist()]


def test_a_run_comes_back_as_it_was_written(folder):
    log = folder.parents[1]
    full = replace(RUN, name="b", model="m", mapping={"prediction": "antwort ß"}, started=datetime(2026, 1, 2, 3))
    create_run(log, full)
    assert (read_run(log, "day-1"), read_run(log, "b")) == (RUN, full)
    assert runs(log) == ("b", "day-1")
    with pytest.raises(CallError, match="exists already"):
        create_run(log, RUN)
    with pytest.raises(CallError, match="runs of this log: b, day-1"):
        read_run(log, "c")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "-a", ".a", "a\0", "a b", "a\n", "x" * 65, "/etc", "ü", "a;DROP"]
)
def test_hostile_names_of_runs_are_refused(tmp_path, name):
    with pytest.raises(CallError, match="not allowed"):
        create_run(tmp_path, replace(RUN, name=name))
    with pytest.raises(CallError, match="not allowed"):
        read_run(tmp_path, name)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["", "a b", 'a"; DROP', "1a", "a-b", "a" * 64, "a\n", "é", "\ud800"])
def test_hostile_names_of_slices_are_refused(tmp_path, name):
    with pytest.raises(CallError, match="slices"):
        create_run(tmp_path, replace(RUN, slices={name: "text"}))


def test_slices_that_sql_cannot_tell_apart_are_refused(tmp_path):
    with pytest.raises(CallError, match="differ by more than case"):
        create_run(tmp_path, replace(RUN, slices={"Language": "text", "language": "text"}))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": True},
        {"name": "other"},
        {"classes": "no"},
        {"classes": ["a", "a"]},
        {"classes": [1]},
        {"modalities": ["video"]},
        {"slices": {"a": "blob"}},
        {"source": "elsewhere"},
        {"started": "yesterday"},
        {"mapping": {"a": 1}},
        {"model": None},
        {"more": 1},
    ],
)
def test_a_run_file_outside_the_schema_is_refused(folder, change):
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CallError, match=r"run\.json of run 'day-1'"):
        read_run(folder.parents[1], "day-1")


@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b"{}", b"\xff\xfe", b"1" * 1_000_001, b'{"name": NaN}'])
def test_a_damaged_run_file_is_refused(folder, data):
    (folder / "run.json").write_bytes(data)
    with pytest.raises(CallError, match=r"run\.json"):
        read_run(folder.parents[1], "day-1")


def test_rows_come_back_as_they_were_written(folder):
    when = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    row = Logged(
        "ä", "late", "yes", 0.25, (0.75, 0.25), when, "1.0", "yes", 3.5, ("image", "text"), ("cut", "bidi"), "\0😀'\"%"
    )
    table = rows_table([replace(row, slices={"language": "de", "age": 3})], RUN)
    write_part(folder, "parts", table, 0)
    kept = pq.read_table(folder / "parts/part-00000.parquet").to_pylist()[0]
    assert kept["timestamp"] == when.astimezone(UTC).replace(tzinfo=None)
    assert (kept["present"], kept["flags"], kept["text"]) == ("text+image", "cut bidi", "\0😀'\"%")
    assert (kept["correct"], kept["probabilities"]) == (True, [0.75, 0.25])
    assert (kept["slice_language"], kept["slice_age"]) == ("de", 3.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slices": {"Age": 1}}, "slices of the run: language, age"),
        ({"slices": {"age": "old"}}, "not a number"),
        ({"slices": {"age": True}}, "not a number"),
        ({"slices": {"language": 3}}, "not a text"),
        ({"present": ("video",)}, "allowed are text, image, audio"),
        ({"flags": ("two words",)}, "names without spaces"),
        ({"text": "\ud800"}, "column text"),
        ({"confidence": "high"}, "column confidence"),
        ({"prediction": None}, "has no prediction"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change, said):
    with pytest.raises(CallError, match=said):
        rows_table([replace(rows(0, 1)[0], **change)], RUN)


def test_parts_of_other_columns_or_without_rows_are_refused(folder):
    with pytest.raises(CallError, match="no rows"):
        write_part(folder, "parts", rows_table([], RUN), 0)
    with pytest.raises(CallError, match="not those of the log"):
        write_part(folder, "errors", rows_table(rows(0, 1), RUN), 0)
    with pytest.raises(CallError, match="no slice"):
        write_part(folder, "parts", rows_table(rows(0, 1), RUN).append_column("correct_", [[1]]), 0)
    with pytest.raises(CallError, match="part number -1"):
        write_part(folder, "parts", rows_table(rows(0, 1), RUN), -1)
    assert live_parts(folder).said == "0 of 0 parts"


def test_the_first_writer_of_a_number_wins(folder):
    write_part(folder, "parts", rows_table(rows(0, 3), RUN), 0)
    with pytest.raises(FileExistsError):
        write_part(folder, "parts", rows_table(rows(5, 3), RUN), 0)
    assert ids(folder) == ["r0", "r1", "r2"]
    assert write_part(folder, "errors", errors_table([LoggedError("x", None, "c", "m")]), 0).rows == 1
    assert (next_number(folder, "parts"), next_number(folder, "errors")) == (1, 1)


def test_rows_of_a_part_lie_by_time_and_ties_as_they_came(folder):
    day = datetime(2026, 1, 1)
    times = [day + timedelta(days=2), None, day, day + timedelta(days=2), day]
    given = [replace(row, timestamp=time) for row, time in zip(rows(0, 5), times, strict=True)]
    write_part(folder, "parts", rows_table(given, RUN), 0)
    assert ids(folder) == ["r2", "r4", "r0", "r3", "r1"]


def test_two_writers_lose_and_repeat_nothing(folder):
    def work(name: int) -> None:
        for k in range(15):
            table = rows_table(rows(name * 1000 + k * 10, 10), RUN)
            while True:
                try:
                    write_part(folder, "parts", table, next_number(folder, "parts"))
                    break
                except FileExistsError:
                    continue

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(folder)) == sorted(f"r{n * 1000 + k}" for n in range(2) for k in range(150))


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from fusion_core.log.parts import next_number, read_run, rows_table, write_part
from fusion_core.log.schema import Logged
folder = Path(sys.argv[1])
run = read_run(folder.parents[1], folder.name)
rng = random.Random(7)

def write():
    at = next_number(folder, "parts")
    while True:
        rows = [Logged(f"{at}-{k}", "late", "yes", 0.5, text="t" * 200) for k in range(50)]
        write_part(folder, "parts", rows_table(rows, run), at)
        os.write(1, f"{at}\\n".encode())
        at += 1

for _ in range(10):
    child = os.fork()
    if not child:
        write()
    at, until = next_number(folder, "parts"), time.time() + 20
    while next_number(folder, "parts") < at + 2 and time.time() < until:
        time.sleep(0.001)
    time.sleep(rng.uniform(0.0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_ten_kills_lose_and_repeat_nothing(folder):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True, cwd=ROOT)
    assert not done.returncode, done.stderr
    said = [int(line) for line in done.stdout.split()]
    parts, found = live_parts(folder), ids(folder)
    assert len(said) == len(set(said)) >= 10
    assert not parts.damaged
    assert set(said) <= {int(i.split("-")[0]) for i in found}
    assert len(found) == len(set(found)) == 50 * len(parts.live)


def test_an_orphan_is_not_live_and_its_number_is_free(folder):
    write_part(folder, "parts", rows_table(rows(0, 2), RUN), 0)
    shutil.copy(folder / "parts/part-00000.parquet", folder / "parts/part-00001.parquet")
    assert (live_parts(folder).said, next_number(folder, "parts")) == ("1 of 1 parts", 2)
    write_part(folder, "parts", rows_table(rows(2, 2), RUN), 1)
    assert ids(folder) == ["r0", "r1", "r2", "r3"]


def test_a_torn_last_line_is_said_and_swallows_no_later_one(folder):
    for k in range(2):
        write_part(folder, "parts", rows_table(rows(k, 1), RUN), k)
    path = folder / manifest.MANIFEST
    path.write_bytes(path.read_bytes()[:-40])
    parts = live_parts(folder)
    assert parts.said == "1 of 1 parts"
    assert "torn" in parts.notes[0]
    write_part(folder, "parts", rows_table(rows(2, 1), RUN), 2)
    assert ids(folder) == ["r0", "r2"]
    assert "line 2" in live_parts(folder).notes[0]


def test_a_line_named_twice_counts_once_and_a_foreign_file_never(folder, tmp_path):
    part = write_part(folder, "parts", rows_table(rows(0, 1), RUN), 0)
    with (folder / manifest.MANIFEST).open("a") as file:
        for change in ({}, {"rows": 7}, {"file": "../../x.parquet"}, {"file": "parts/../run.json"}, {"rows": True}):
            file.write(json.dumps(vars(part) | change) + "\n")
    parts = live_parts(folder)
    assert (parts.live, len(parts.notes)) == ((part,), 4)


def test_every_flipped_bit_is_found(folder):
    write_part(folder, "parts", rows_table(rows(0, 300), RUN), 0)
    write_part(folder, "parts", rows_table(rows(300, 300), RUN), 1)
    path = folder / "parts/part-00001.parquet"
    whole = path.read_bytes()
    rng = random.Random(3)
    for at in rng.sample(range(len(whole)), 50):
        data = bytearray(whole)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        parts = live_parts(folder)
        assert [d.part.file for d in parts.damaged] == ["parts/part-00001.parquet"], at
        assert "SHA-256" in parts.damaged[0].reason
        assert parts.said == "1 of 2 parts"
    path.write_bytes(whole)
    assert live_parts(folder).said == "2 of 2 parts"


def test_cut_missing_linked_and_foreign_parts_are_named(folder, tmp_path):
    for k in range(5):
        write_part(folder, "parts", rows_table(rows(k, 1), RUN), k)
    files = [folder / f"parts/part-0000{k}.parquet" for k in range(5)]
    files[1].write_bytes(files[1].read_bytes()[:-9])
    files[2].unlink()
    shutil.move(files[3], tmp_path / "away")
    files[3].symlink_to(tmp_path / "away")
    parts = live_parts(folder)
    assert parts.said == "2 of 5 parts"
    reasons = [d.reason for d in parts.damaged]
    assert "bytes instead of" in reasons[0]
    assert reasons[1] == "it is missing"
    assert "bytes instead of" in reasons[2] or "link" in reasons[2]


FULL = """
import resource, sys
from pathlib import Path
from fusion_core.errors import CallError
from fusion_core.log.parts import keep_media, read_run, rows_table, write_part
from fusion_core.log.schema import Logged
folder = Path(sys.argv[1])
run = read_run(folder.parents[1], folder.name)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rows = [Logged(str(k), "late", "yes", k / 1e5, text=str(k * 7919)) for k in range(20_000)]
log = folder.parents[1]
part, media = (folder, "parts", rows_table(rows, run), 1), (log, b"x" * 30_000, "bin")
for write, what in ((write_part, part), (keep_media, media)):
    try:
        write(*what)
    except CallError as error:
        print(error.code, error)
"""


def test_a_full_disk_is_said_and_earlier_parts_are_intact(folder):
    write_part(folder, "parts", rows_table(rows(0, 5), RUN), 0)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["resource_exhausted"] * 2, done.stderr
    assert "disk is full" in lines[0]
    assert live_parts(folder).said == "1 of 1 parts"
    assert [p.name for p in (folder / "parts").iterdir()] == ["part-00000.parquet"]
    assert not [p for p in (folder.parents[1] / "media").rglob("*") if p.is_file()]


def test_media_are_kept_once_under_their_content(tmp_path):
    name = keep_media(tmp_path, b"picture", ".PNG")
    assert name == keep_media(tmp_path, b"picture", "png")
    assert media_path(tmp_path, name) == tmp_path.resolve() / "media" / name[:2] / name[2:4] / name
    assert media_path(tmp_path, name).read_bytes() == b"picture"
    media_path(tmp_path, name).write_bytes(b"cut")
    keep_media(tmp_path, b"picture", "png")
    assert media_path(tmp_path, name).read_bytes() == b"picture"


@pytest.mark.parametrize("suffix", ["", ".", "p/g", "../x", "a" * 9, "p\0", "p.g", "п"])
def test_hostile_suffixes_are_refused(tmp_path, suffix):
    with pytest.raises(CallError, match="suffix"):
        keep_media(tmp_path, b"x", suffix)


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "a" * 64, "A" * 64 + ".png", "a" * 64 + ".p/g", "a" * 63 + ".x"]
)
def test_hostile_names_of_media_are_refused(tmp_path, name):
    with pytest.raises(RecordError, match="media name"):
        media_path(tmp_path, name)


def test_a_media_folder_that_leads_away_is_refused(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "log/media").symlink_to(tmp_path / "away")
    with pytest.raises(RecordError, match="leads out"):
        keep_media(tmp_path / "log", b"x", "png")
