"""Logs of others: columns by a mapping, times and probabilities as they come, every row an answer or an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.cli import main
from fusion_core.errors import CallError
from fusion_core.log.asking import Filter
from fusion_core.log.commit import commit
from fusion_core.log.imports import import_log
from fusion_core.log.parts import live_parts, media_path, read_run, run_folder, runs
from fusion_core.log.queries import count
from fusion_core.log.store import Store
from fusion_core.log.upkeep import erase
from tests.fusion_core.sweeping import table_of

PNG = b"\x89PNG\r\n\x1a\n rest"
HEADER = "request_id,pred_label,truth,ts,prob_no,prob_yes,lang,size"
LINES = (
    "007,yes,yes,2024-05-01T12:00:00+02:00,0.25,0.75,de,3",
    "008,no,yes,1714557600,0.9,0.1,en,4",
    "009,yes,,1714557600500,,,,",
    "010,no,no,long ago,0.7,0.3,en,7",
)
MAPPING = {"id": "request_id", "prediction": "pred_label", "label": "truth", "timestamp": "ts"}


def csv(folder, *lines, header=HEADER):
    (folder / "served.csv").write_text("\n".join((header, *lines)) + "\n", "utf-8")
    return folder / "served.csv"


def jsonl(folder, *rows):
    (folder / "served.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder / "served.jsonl"


def parquet(folder, *rows):
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / "served.parquet")
    return folder / "served.parquet"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def rows_of(log, run="served"):
    table = table_of(log, run)
    return [] if table is None else table.to_pylist()


def errors_of(log, run="served"):
    table = table_of(log, run, "errors")
    return [] if table is None else table.to_pylist()


def test_columns_are_mapped_and_the_mapping_is_remembered(tmp_path, log):
    import_log(csv(tmp_path, *LINES), log, mapping=MAPPING)
    first, second, third, fourth = rows_of(log)
    assert (first["id"], first["prediction"], first["correct"]) == ("007", "yes", True)
    assert first["timestamp"] == datetime(2024, 5, 1, 10)
    assert second["timestamp"] == datetime(2024, 5, 1, 10)
    assert third["timestamp"] == datetime(2024, 5, 1, 10, 0, 0, 500_000)
    assert (fourth["timestamp"], fourth["flags"]) == (None, "unreadable-timestamp")
    assert first["probabilities"] == pytest.approx([0.25, 0.75])
    assert (first["confidence"], second["confidence"]) == pytest.approx((0.75, 0.9))
    assert (third["probabilities"], third["correct"], third["slice_lang"]) == (None, None, None)
    assert third["confidence"] != third["confidence"]
    assert (first["strategy"], first["slice_lang"], first["slice_size"]) == ("imported", "de", 3.0)
    run = read_run(log, "served")
    assert (run.classes, run.source, dict(run.slices)) == (("no", "yes"), "import", {"lang": "text", "size": "number"})
    assert MAPPING.items() <= run.mapping.items()


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_probabilities_come_as_lists_whose_order_the_rows_tell(tmp_path, log, write):
    rows = [
        {"id": 1, "prediction": "b", "probabilities": [0.7, 0.2, 0.1], "label": ""},
        {"id": 2, "prediction": "c", "probabilities": [0.1, 0.6, 0.3]},
        {"id": 3, "prediction": "b", "probabilities": [0.8, 0.1, 0.1], "label": "a"},
    ]
    import_log(write(tmp_path, *rows), log)
    assert read_run(log, "served").classes == ("b", "c", "a")
    assert [row["id"] for row in rows_of(log)] == ["1", "2", "3"]
    assert rows_of(log)[1]["confidence"] == pytest.approx(0.6)


def test_lists_whose_order_nothing_tells_need_the_classes(tmp_path, log):
    file = jsonl(tmp_path, {"id": 1, "prediction": "b", "probabilities": [0.7, 0.2, 0.1]})
    with pytest.raises(CallError, match="--classes"):
        import_log(file, log)
    assert runs(log) == ()
    import_log(file, log, classes=("b", "a", "c"))
    assert read_run(log, "served").classes == ("b", "a", "c")


def test_probabilities_come_as_objects_also_inside_text(tmp_path, log):
    rows = [
        {"id": "x", "prediction": "no", "probabilities": {"no": 0.9, "yes": 0.1}},
        {"id": "y", "prediction": "yes", "probabilities": '{"yes": 1}'},
        {"id": "z", "prediction": "yes", "probabilities": "yes"},
    ]
    import_log(jsonl(tmp_path, *rows), log)
    assert [row["probabilities"] for row in rows_of(log)] == [pytest.approx([0.9, 0.1]), [0.0, 1.0]]
    assert [(e["id"], e["code"]) for e in errors_of(log)] == [("z", "metadata_damaged")]


def test_media_are_read_beside_the_file_only_and_copied(tmp_path, log):
    (tmp_path / "in" / "pictures").mkdir(parents=True)
    (tmp_path / "in" / "pictures" / "a.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG + b"secret")
    names = ["pictures/a.png", "../secret.png", "/etc/hostname", "pictures/none.png", "https://x.example/a.png", ""]
    rows = [{"id": n, "prediction": "p", "text": "hi", "picture": name} for n, name in enumerate(names)]
    import_log(jsonl(tmp_path / "in", *rows), log, mapping={"image": "picture"})
    kept, without = rows_of(log)
    assert (kept["present"], without["present"]) == ("text+image", "text")
    assert media_path(log, kept["image"]).read_bytes() == PNG
    codes = ["path_refused", "path_refused", "file_missing", "remote_media_refused"]
    assert [e["code"] for e in errors_of(log)] == codes
    assert len([p for p in (log / "media").rglob("*") if p.is_file()]) == 1


def test_every_row_ends_as_an_answer_or_an_error(tmp_path, log):
    lines = [*LINES, "011,,yes,,,,,", ",yes,,,,,,", "007,yes,,,,,,", "too,few", "012,no,,,0.5,,,", "013,no,,,0.5,2,,"]
    done = import_log(csv(tmp_path, *lines), log, mapping=MAPPING)
    assert (done.rows, done.ok, done.error) == (10, 4, 6)
    found = [(e["id"], e["code"], e["strategy"]) for e in errors_of(log)]
    assert found == [
        ("011", "metadata_damaged", None),
        ("row:6", "metadata_damaged", None),
        ("007", "duplicate_id", None),
        ("row:8", "metadata_damaged", None),
        ("012", "metadata_damaged", None),
        ("013", "metadata_damaged", None),
    ]
    assert "line 6" in errors_of(log)[0]["message"]


@pytest.mark.parametrize(("confidence", "fits"), [(0, True), (1.0005, True), (93, False), (-0.5, False), (1e30, False)])
def test_a_confidence_outside_0_to_1_is_damage(tmp_path, log, confidence, fits):
    done = import_log(jsonl(tmp_path, {"id": 1, "prediction": "a", "confidence": confidence}), log)
    assert (done.ok, done.error) == (fits, not fits)
    assert [e["code"] for e in errors_of(log)] == ["metadata_damaged"] * (not fits)


@pytest.mark.parametrize(("shares", "fits"), [((0.333, 0.66), True), ((0.5, 0.2), False), ((0.9, 0.9), False)])
def test_probabilities_that_do_not_sum_to_1_are_damage(tmp_path, log, shares, fits):
    done = import_log(
        jsonl(tmp_path, {"id": 1, "prediction": "a", "probabilities": dict(zip("ab", shares, strict=True))}), log
    )
    assert (done.ok, done.error) == (fits, not fits)
    assert fits or "sum to" in errors_of(log)[0]["message"]


def test_a_missing_column_is_refused_with_the_columns_there_are(tmp_path, log):
    file = csv(tmp_path, *LINES)
    with pytest.raises(CallError, match=r"no column for id and prediction; it has 'request_id', 'pred_label', 'truth'"):
        import_log(file, log)
    with pytest.raises(CallError, match="near it: 'pred_label'"):
        import_log(file, log, mapping={"id": "request_id", "prediction": "pred_labl"})
    with pytest.raises(CallError, match="no such column of ours"):
        import_log(file, log, mapping={"identity": "request_id"})
    with pytest.raises(CallError, match="one column of the file"):
        import_log(file, log, mapping={"id": "truth", "prediction": "truth"})
    assert not log.exists()


@pytest.mark.parametrize(
    ("name", "data"), [("a.txt", b"x"), ("a.csv", b""), ("a.jsonl", b"PK\x03\x04"), ("a.parquet", b"PAR1 and no more")]
)
def test_a_file_that_is_no_table_is_refused(tmp_path, log, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CallError):
        import_log(tmp_path / name, log)
    with pytest.raises(CallError):
        import_log(tmp_path / "nowhere.csv", log)
    assert not log.exists()


def test_an_import_that_was_stopped_is_gone_on_with_and_another_is_refused(tmp_path, log, monkeypatch):
    file = csv(tmp_path, *LINES)

    def stopped(folder, kind, table, number):
        if number == 1:
            raise KeyboardInterrupt
        commit(folder, kind, table, number)

    with monkeypatch.context() as patched:
        patched.setattr("fusion_core.log.imports.commit", stopped)
        with pytest.raises(KeyboardInterrupt):
            import_log(file, log, mapping=MAPPING, part_rows=2)
    assert len(rows_of(log)) == 2
    for _ in range(2):
        assert import_log(file, log, mapping=MAPPING, part_rows=2).ok == 4
    assert [row["id"] for row in rows_of(log)] == ["007", "008", "009", "010"]
    assert len(live_parts(run_folder(log, "served")).live) == 2
    erase(log, "007")
    with pytest.raises(CallError, match="merged or moved"):
        import_log(file, log, mapping=MAPPING, part_rows=2)
    with pytest.raises(CallError, match="other rows or columns"):
        import_log(csv(tmp_path, *LINES[:3]), log, mapping=MAPPING, part_rows=2)


def test_odd_column_names_and_strategies_of_the_file(tmp_path, log):
    rows = [
        {"id": "x", "strategy": name, "prediction": "p", "Größe (cm)": 3, "größe (cm)": "drei", "1st": True, "t": [1]}
        for name in ("late", "early", "late")
    ]
    import_log(jsonl(tmp_path, *rows), log, "odd")
    assert [row["strategy"] for row in rows_of(log, "odd")] == ["late", "early"]
    assert [e["code"] for e in errors_of(log, "odd")] == ["duplicate_id"]
    found = read_run(log, "odd")
    assert dict(found.slices) == {"Gr__e__cm_": "number", "gr__e__cm__2": "text", "c_1st": "text", "t": "text"}
    assert found.mapping["slice.gr__e__cm__2"] == "größe (cm)"
    assert rows_of(log, "odd")[0]["slice_t"] == "[1]"


def test_a_column_named_like_one_of_ours_is_a_slice_of_another_name(tmp_path, log):
    file = csv(tmp_path, "1,yes,yes,old,shop", "2,no,yes,new,web", header="id,prediction,truth,label,Present")
    import_log(file, log, mapping={"label": "truth"})
    assert dict(read_run(log, "served").slices) == {"label_2": "text", "Present_2": "text"}
    with Store(log, "served") as store:
        assert count(store, Filter(label="yes", slices={"label_2": "new"})) == 1
        assert count(store, Filter(present=(), slices={"Present_2": "web"})) == 1


def test_parquet_times_and_numbers(tmp_path, log):
    rows = [{"id": 5, "prediction": 1, "timestamp": datetime(2024, 1, 2, tzinfo=UTC), "latency_ms": 4, "release": 2.5}]
    import_log(parquet(tmp_path, *rows), log)
    (row,) = rows_of(log)
    assert (row["id"], row["prediction"], row["release"], row["latency_ms"]) == ("5", "1", "2.5", 4.0)
    assert row["timestamp"] == datetime(2024, 1, 2)


def test_the_command(tmp_path, log, capsys):
    file = csv(tmp_path, *LINES, "011,,,,,,,")
    call = ["import", "--file", str(file), "--log", str(log), "--run", "mine"]
    pairs = [flag for ours, theirs in MAPPING.items() for flag in ("--map", f"{ours}={theirs}")]
    assert main([*call, *pairs]) == 3
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["kind"], line["run"], line["rows"], line["ok"], line["error"]) == ("import", "mine", 5, 4, 1)
    several = ["--map", *(f"{ours}={theirs}" for ours, theirs in MAPPING.items())]
    assert main([*call, *several]) == 3
    assert main([*call, "--map", "id"]) == 2
    assert "--map" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said_so(tmp_path, log, capsys):
    assert main(["import", "--file", str(tmp_path / "served.csv"), "--log", str(log)]) == 2
    assert capsys.readouterr().err.strip() == "import: there is no file 'served.csv'"
    assert not log.exists()
