"""What a log answers, checked against pandas over the same rows, and what its database refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from fusion_core.errors import CallError
from fusion_core.intervals import wilson
from fusion_core.log import store as store_module
from fusion_core.log.parts import create_run, errors_table, rows_table, write_part
from fusion_core.log.queries import (
    BETWEEN_RELEASES,
    Filter,
    Order,
    by_slice,
    calibration,
    confusion,
    count,
    error_codes,
    error_page,
    page,
    row,
    rows_of,
    timeline,
)
from fusion_core.log.schema import Logged, LoggedError, Run
from fusion_core.log.store import Store, locked_down

CLASSES = ("bad", "fair", "good")
RUN = Run("a", CLASSES, ("text", "image"), {"language": "text", "age": "number"}, "sweep")
DAY = datetime(2026, 5, 1)
NASTY = [
    "it's",
    '"quoted"',
    "100%",
    "under_score",
    "nul\0nul",
    "😀 emoji",
    "'; DROP VIEW answered; --",
    "\\",
    "$1",
    "ÄÖÜ",
]


def logged(number: int, rng: np.random.Generator) -> Logged:
    label, prediction = CLASSES[rng.integers(3)], CLASSES[rng.integers(3)]
    return Logged(
        f"r{number // 2}",
        ("early", "late")[number % 2],
        prediction,
        float(np.float32(rng.uniform(0.3, 1))),
        (0.2, 0.3, 0.5),
        DAY + timedelta(hours=number // 2) if number % 50 else None,
        f"1.{number // 400}",
        label if rng.random() < 0.7 else None,
        5.0,
        ("text", "image") if rng.random() < 0.5 else ("text",),
        ("short", "bidi") if rng.random() < 0.2 else (),
        f"{NASTY[number % len(NASTY)]} row {number}",
        slices={"language": ("de", "en", None)[rng.integers(3)], "age": float(rng.integers(18, 90))},
    )


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    return [logged(number, rng) for number in range(1_000)]


@pytest.fixture(scope="module")
def log(tmp_path_factory, rows):
    log = tmp_path_factory.mktemp("log [1]'s *")  # a folder whose name means something to SQL and to a shell
    folder = create_run(log, RUN)
    for part in range(4):
        write_part(folder, "parts", rows_table(rows[part * 250 : part * 250 + 250], RUN), part)
    lost = [LoggedError(f"x{k}", (None, "late")[k % 2], "image_damaged", "cut", DAY) for k in range(6)]
    write_part(folder, "errors", errors_table(lost), 0)
    return log


@pytest.fixture(scope="module")
def store(log):
    with Store(log, "a") as store:
        yield store


@pytest.fixture(scope="module")
def table(rows):
    return pd.DataFrame([vars(r) | {"correct": r.correct} | dict(r.slices) for r in rows])


FILTERS = [
    (Filter(), lambda t: t.id != ""),
    (Filter(strategy="late"), lambda t: t.strategy == "late"),
    (Filter(since=DAY + timedelta(hours=9), until=DAY + timedelta(hours=99)), lambda t: t.id.isin(
        [f"r{k}" for k in range(9, 99)]) & t.timestamp.notna()),
    (Filter(release="1.1", label="good"), lambda t: (t.release == "1.1") & (t.label == "good")),
    (Filter(correct=False, prediction="bad"), lambda t: (t.correct == False) & (t.prediction == "bad")),  # noqa: E712
    (Filter(confidence=(0.5, 0.6)), lambda t: t.confidence.between(0.5, 0.6)),
    (Filter(present=("image", "text")), lambda t: t.present.map(len) == 2),
    (Filter(flag="bidi"), lambda t: t["flags"].map(len) == 2),
    (Filter(flag="bid"), lambda t: t.id == ""),
    (Filter(flag="short bidi"), lambda t: t.id == ""),
    (Filter(slices={"language": "de", "age": 40}), lambda t: (t.language == "de") & (t.age == 40)),
    (Filter(slices={"language": None}), lambda t: t.language.isna()),
    (Filter(label=""), lambda t: t.label.isna()),
    (Filter(release=""), lambda t: t.release.isna()),
    *((Filter(text=word.lower()), lambda t, w=word: t.text.str.contains(w, regex=False)) for word in NASTY),
    (Filter(text="row%"), lambda t: t.id == ""),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "meant"), FILTERS)
def test_a_filter_finds_what_pandas_finds(store, table, asked, meant):
    wanted = table[meant(table)]
    assert count(store, asked) == len(wanted)
    found = page(store, asked, limit=1_000)
    assert sorted(found["text"]) == sorted(wanted["text"])


@pytest.mark.parametrize("word", NASTY)
def test_nasty_values_stay_values(store, word):
    for field in ("strategy", "release", "prediction", "label", "flag"):
        assert count(store, Filter(**{field: word})) == 0
    assert count(store, Filter(slices={"language": word})) == 0
    assert row(store, word) == ()
    assert count(store) == 1_000


def test_half_a_character_and_other_impossible_values_are_refused(store):
    for asked in (
        Filter(text="\ud800"),
        Filter(slices={"age": "old"}),
        Filter(slices={"language": 3}),
        Filter(confidence=(float("nan"), 1.0)),
    ):
        with pytest.raises(CallError):
            count(store, asked)


@pytest.mark.parametrize(
    "name", ["", "answered", "slice_age", "age; DROP", 'age"', "probabilities", "part", "AGE", "1"]
)
def test_only_listed_columns_are_asked_for(store, name):
    with pytest.raises(CallError, match="allowed are"):
        page(store, order=Order(name))
    with pytest.raises(CallError, match="allowed are"):
        by_slice(store, name)
    with pytest.raises(CallError, match="allowed are"):
        count(store, Filter(slices={name: None}))


@pytest.mark.parametrize("column", ["timestamp", "confidence", "id", "correct", "age", "language"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_are_in_order_and_cover_all_rows_once(store, table, column, descending):
    pages = [page(store, order=Order(column, descending), offset=k, limit=300) for k in range(0, 1_000, 300)]
    found = pd.concat(pages, ignore_index=True)
    assert sorted(found["text"]) == sorted(table["text"])
    name = column if column in table.columns and column in found.columns else f"slice_{column}"
    values = found[name].dropna().tolist()
    assert values == sorted(values, reverse=descending)
    assert found[name].isna().sum() == found[name].tail(int(found[name].isna().sum())).isna().sum()


@pytest.mark.parametrize(("offset", "limit"), [(-1, 5), (0, 0), (0, 1_001)])
def test_pages_outside_the_bounds_are_refused(store, offset, limit):
    with pytest.raises(CallError, match="allowed are offsets"):
        page(store, offset=offset, limit=limit)


def test_a_row_comes_back_as_it_was_logged(store, rows):
    found = row(store, "r7")
    assert {f.run for f in found} == {"a"}
    near = [replace(f.logged, probabilities=tuple(round(p, 6) for p in f.logged.probabilities)) for f in found]
    assert sorted(near, key=lambda r: r.strategy) == rows[14:16]


def test_confusion_counts_labelled_rows(store, table):
    late = table[(table.strategy == "late") & table.label.notna()]
    wanted = late.groupby(["label", "prediction"]).size()
    found = confusion(store, Filter(strategy="late")).set_index(["label", "prediction"])["rows"]
    assert found.to_dict() == wanted.to_dict()


def test_a_slice_stands_against_the_rest(store, table):
    found = by_slice(store, "language").set_index("value")
    assert found["rows"].sum() == 1_000
    here, rest = table[table.language == "de"], table[table.language != "de"]
    error = [1 - t.correct.dropna().astype(float).mean() for t in (here, rest)]
    assert found.loc["de", "accuracy"] == pytest.approx(1 - error[0])
    assert found.loc["de", "lift"] == pytest.approx(error[0] / error[1])
    labelled = int(here.correct.notna().sum())
    low, high = wilson(int((here.correct == True).sum()), labelled)  # noqa: E712
    assert (found.loc["de", "low"], found.loc["de", "high"]) == pytest.approx((low, high))
    assert found["rows"].is_monotonic_decreasing


def test_numbers_are_cut_into_tenths(store):
    found = by_slice(store, "age").sort_values("low_value")
    assert len(found) == 10
    assert found["rows"].sum() == 1_000
    assert (found["low_value"].to_numpy()[1:] > found["high_value"].to_numpy()[:-1]).all()
    assert found["rows"].between(70, 130).all()


def test_a_timeline_counts_rows_and_errors(store, table):
    found = timeline(store)
    assert found["rows"].sum() == 1_000
    assert found["bucket"].isna().tolist() == [False] * (len(found) - 1) + [True]
    first = found.iloc[0]
    assert (first["bucket"], first["error_rows"]) == (pd.Timestamp(DAY), 6)
    day = table[table.timestamp < DAY + timedelta(days=1)]
    assert (first["rows"], first["confidence"]) == (len(day), pytest.approx(day.confidence.mean()))
    assert timeline(store, Filter(strategy="early"))["error_rows"].sum() == 3
    assert len(timeline(store, bucket="hour")) > 400
    with pytest.raises(CallError, match="day and hour"):
        timeline(store, bucket="minute')")
    assert found["release"].str.contains(BETWEEN_RELEASES).sum() == 2 + 1


def test_calibration_is_of_equal_mass(store, table):
    found = calibration(store)
    assert found.labelled == table.correct.notna().sum() == found.bins["rows"].sum()
    assert len(found.bins) == 15
    assert found.bins["rows"].max() - found.bins["rows"].min() <= 2
    gap = (found.bins["confidence"] - found.bins["accuracy"]).abs()
    assert found.error == pytest.approx((gap * found.bins["rows"]).sum() / found.labelled)
    with pytest.raises(CallError, match="1 to 100"):
        calibration(store, bins=0)


def test_errors_are_counted_by_code(store):
    assert int(error_codes(store)["rows"].sum()) == 6
    assert int(error_codes(store, Filter(strategy="early"))["rows"].sum()) == 3


def test_rows_are_those_of_the_strategy_asked_for(store):
    for strategy in ("late", "early"):
        found = rows_of(store, ["r12", "r5"], strategy)
        assert [(one.logged.id, one.logged.strategy) for one in found] == [("r12", strategy), ("r5", strategy)]


def test_errors_have_a_page(store):
    assert len(error_page(store)) == 6
    assert set(error_page(store, Filter(strategy="early"))["id"]) == {"x0", "x2", "x4"}
    assert len(error_page(store, offset=4)) == 2


def test_a_log_without_labels_and_one_without_rows(tmp_path, rows):
    folder = create_run(tmp_path, RUN)
    for filled in (False, True):
        if filled:
            write_part(folder, "parts", rows_table([replace(r, label=None) for r in rows[:50]], RUN), 0)
        with Store(tmp_path) as store:
            assert count(store) == len(page(store)) == (50 if filled else 0)
            assert confusion(store).empty
            assert by_slice(store, "language")["accuracy"].isna().all()
            assert by_slice(store, "age")["rows"].sum() == count(store)
            assert timeline(store)["accuracy"].isna().all()
            assert np.isnan(calibration(store).error)
            assert (row(store, "r1") != ()) == filled


def test_runs_are_read_together_unless_their_slices_differ(tmp_path, rows):
    other = replace(RUN, name="b", slices={"language": "text", "shop": "text"})
    write_part(create_run(tmp_path, RUN), "parts", rows_table(rows[:10], RUN), 0)
    bare = [replace(r, slices={"shop": "north"}) for r in rows[:4]]
    write_part(create_run(tmp_path, other), "parts", rows_table(bare, other), 0)
    with Store(tmp_path) as store:
        assert count(store) == 14
        assert page(store, Filter(slices={"shop": "north"}))["run"].tolist() == ["b"] * 4
        assert {f.run for f in row(store, "r1")} == {"a", "b"}
    create_run(tmp_path, replace(RUN, name="c", slices={"age": "text"}))
    with pytest.raises(CallError, match="open one run at a time"):
        Store(tmp_path)


def test_damaged_parts_are_said_and_not_read(tmp_path, rows):
    folder = create_run(tmp_path, RUN)
    for part in range(3):
        write_part(folder, "parts", rows_table(rows[part * 10 : part * 10 + 10], RUN), part)
    path = folder / "parts/part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with Store(tmp_path, "a") as store:
        assert store.said.startswith("2 of 3 parts; parts/part-00001.parquet of run a is not read: its SHA-256")
        assert count(store) == 20


def test_a_question_that_takes_too_long_is_stopped(log):
    with Store(log, "a", seconds=0.3) as store:
        with pytest.raises(CallError, match=r"longer than 0\.3 seconds") as caught:
            store.ask("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = $1", [7])
        assert caught.value.code == "resource_exhausted"
        assert count(store) == 1_000


def test_a_question_that_needs_too_much_memory_is_stopped(log, monkeypatch):
    monkeypatch.setattr(store_module, "MEMORY", "40MB")
    monkeypatch.setattr(store_module, "SPILL", "1MB")
    with Store(log, "a") as store, pytest.raises(CallError, match="more memory") as caught:
        store.ask("SELECT list(range::VARCHAR || 'padding padding padding') FROM range(3000000)")
    assert caught.value.code == "resource_exhausted"


ESCAPES = [
    "SELECT * FROM read_csv('{outside}')",
    "SELECT * FROM read_text('{outside}')",
    "SELECT * FROM read_text('{folder}/../secret.csv')",
    "SELECT * FROM read_text('{folder}/link.csv')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM '{outside}'",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '{outside}2'",
    "EXPORT DATABASE '{outside}3'",
    "ATTACH '{outside}4' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM read_parquet('http://localhost:1/x.parquet')",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '20GB'",
    "SET threads = 64",
    "SET allowed_directories = ['/']",
    "SET autoinstall_known_extensions = true",
    "SET allow_community_extensions = true",
    "SET temp_directory = '/tmp'",
    "RESET enable_external_access",
    "PRAGMA enable_profiling",
    "CREATE PERSISTENT SECRET s (TYPE http)",
    "SELECT * FROM frame",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("sql", ESCAPES)
def test_the_database_is_locked_down(tmp_path, sql):
    frame = pd.DataFrame({"secret": [1]})
    folder, outside = tmp_path / "log", tmp_path / "secret.csv"
    folder.mkdir()
    outside.write_text("secret\n1\n")
    (folder / "link.csv").symlink_to(outside)
    database = locked_down(folder, tmp_path / "spill")
    with pytest.raises(duckdb.Error):
        database.execute(sql.format(outside=outside, folder=folder))
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "spill") == ["log", "secret.csv"]
    assert len(frame) == 1
