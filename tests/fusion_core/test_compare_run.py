"""A comparison comes piece by piece, accuracies first, goes on where it was stopped, and says what it leaves out."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fusion_core.bundle import load, save
from fusion_core.cli import main
from fusion_core.compare import work
from fusion_core.compare.export import as_csv, as_json, as_parquet, long_table
from fusion_core.compare.plan import Settings, piece_key
from fusion_core.compare.result_file import plain, read_comparison
from fusion_core.compare.run import Comparing
from fusion_core.compare.store import Store
from fusion_core.encoders import DEFAULT_SOURCES
from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError
from fusion_core.faults.folder import write_records
from fusion_core.fit import FitSettings, draw_background, train_head
from fusion_core.fusion import HeadSettings
from fusion_core.model import FusedModel
from fusion_core.reading.media import media_from_bytes
from fusion_core.reading.records import read
from fusion_core.tokens import encode_records
from fusion_core.types import Refusal
from tests.conftest import SAMPLES

CLASSES = ("negative", "neutral", "positive")
COUNT = 30
SETTINGS = Settings(faults="text.empty,image.dark", severities=(1, 5))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of two strategies over text and image."""
    stack = EncoderStack({m: DEFAULT_SOURCES[m] for m in ("text", "image")})
    records = [replace(r, audio=None) for r in read(SAMPLES / "feedback" / "training").records[:60]]
    tokens, _ = encode_records(stack, records)
    settings = FitSettings(epochs=4, head=HeadSettings(16, 2, 1, 0.0))
    fits = {n: train_head(n, stack.specs, CLASSES, tokens, tokens, settings) for n in ("late", "concat")}
    heads, fitted = ({n: part[k] for n, part in fits.items()} for k in (0, 1))
    fitted = {n: replace(f, status="trained") for n, f in fitted.items()}
    folder = tmp_path_factory.mktemp("bundle")
    save(FusedModel("small", CLASSES, stack, heads, fitted, draw_background(tokens, 0), "concat"), folder)
    return folder


@pytest.fixture(scope="module")
def rows():
    records = [replace(r, audio=None) for r in read(SAMPLES / "feedback" / "test").records[:COUNT]]
    return [*records, Refusal("gone", "file_missing", "it is gone")]


@pytest.fixture(scope="module")
def whole(bundle, rows, tmp_path_factory):
    """All comparisons of a run with a store, and the store's folder."""
    folder = tmp_path_factory.mktemp("pieces")
    store = Store(folder, piece_key(bundle, rows, SETTINGS))
    return list(Comparing(load(bundle), rows, SETTINGS, store, "small set")), folder


def without_times(comparison):
    """All but clock times, as it is written: sums over other numbers of threads differ in their last bits."""
    return plain(replace(comparison, strategies=tuple(replace(r, cost=None) for r in comparison.strategies)))


def again(bundle, rows, folder, settings=SETTINGS):
    return Comparing(load(bundle), rows, settings, Store(folder, piece_key(bundle, rows, settings)), "small set")


def test_accuracies_of_all_strategies_come_first_and_more_with_every_piece(whole):
    told, _ = whole
    assert [c.done for c in told] == list(range(told[-1].planned + 1))
    assert told[0].strategies[0].quality is None
    assert all(r.quality for r in told[1].strategies)
    assert all(r.cost is None for r in told[1].strategies)
    last = told[-1]
    assert (last.records, last.refused, last.baseline, last.doing) == (COUNT, 1, "late", "")
    assert all(c.doing for c in told[:-1])
    for report in last.strategies:
        assert len(report.patterns) == 3
        assert report.patterns[0].agreement.value == 1.0
        assert report.patterns[0].accuracy == report.quality.accuracy
        assert {c.kind: c.severities for c in report.curves} == {"text.empty": (0, 5), "image.dark": (0, 1, 5)}
        assert report.curves[0].accuracy[0] == report.quality.accuracy
        assert sum(m.value for m in report.reliance.values()) == pytest.approx(1.0)
        assert report.emap
        assert len(report.perceptual) == 2
        assert len(report.information) == 1
    assert last.of("late").emap.mode == "closed"
    assert last.of("late").against is None
    assert last.of("concat").against.baseline == "late"
    assert last.verdict.strategy in ("late", "concat")
    json.dumps(plain(last), allow_nan=False)


def test_a_stopped_comparison_goes_on_and_ends_like_one_that_was_not(bundle, rows, whole, tmp_path):
    for comparison in again(bundle, rows, tmp_path):
        if comparison.done == 6:
            break
    assert without_times(list(again(bundle, rows, tmp_path))[-1]) == without_times(whole[0][-1])


def test_what_is_kept_is_not_measured_again(bundle, rows, whole, monkeypatch):
    told, folder = whole
    monkeypatch.setattr(work.Subject, "read", lambda self: pytest.fail("records were encoded"))
    monkeypatch.setattr(work, "damaged", lambda *a: pytest.fail("records were damaged"))
    assert plain(list(again(bundle, rows, folder))[-1], 17) == plain(told[-1], 17)


@pytest.mark.parametrize("name", ["answers", "patterns-late", "image.dark-5"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "empty"])
def test_a_damaged_piece_is_measured_again(bundle, rows, whole, tmp_path, name, harm):
    told, folder = whole
    shutil.copytree(folder, tmp_path / "copy")
    piece = next((tmp_path / "copy").rglob(f"{name}.piece"))
    data = bytearray(piece.read_bytes())
    data[len(data) // 2] ^= 1
    piece.write_bytes({"flipped": bytes(data), "cut": bytes(data[:100]), "empty": b""}[harm])
    assert without_times(list(again(bundle, rows, tmp_path / "copy"))[-1]) == without_times(told[-1])


def test_other_records_models_or_seeds_have_other_pieces(bundle, rows):
    key = piece_key(bundle, rows, SETTINGS)
    assert key == piece_key(bundle, rows, replace(SETTINGS, baseline="concat", faults="none"))
    assert key != piece_key(bundle, rows[1:], SETTINGS)
    assert key != piece_key(bundle, rows, replace(SETTINGS, seed=1))
    assert key != piece_key(SAMPLES / "bundles" / "feedback", rows, SETTINGS)


def test_without_labels_what_needs_none_is_measured_and_the_rest_is_named(bundle, rows):
    bare = [replace(r, label=None) for r in rows[:COUNT]]
    last = list(Comparing(load(bundle), bare, SETTINGS))[-1]
    for report in last.strategies:
        assert report.quality is None
        assert report.curves == ()
        assert report.emap is None
        assert report.cost
        assert report.reliance
        assert report.patterns[0].accuracy is None
        assert report.patterns[1].agreement.value <= 1.0
    assert last.verdict is None
    assert "0 of 30 records have a label" in last.left_out[0]


def test_a_large_set_is_looked_at_in_a_sample_first(bundle, rows, monkeypatch):
    monkeypatch.setattr(work, "FIRST_LOOK", 9)
    monkeypatch.setattr("fusion_core.compare.run.FIRST_LOOK", 9)
    told = list(Comparing(load(bundle), rows, replace(SETTINGS, faults="none")))
    assert told[0].doing == "answers to a sample of 9 records"
    assert [told[k].strategies[0].quality.records for k in (1, 2)] == [9, COUNT]
    plainly = list(Comparing(load(bundle), rows[:COUNT], replace(SETTINGS, faults="none")))
    assert np.isclose(told[-1].of("late").quality.nll.value, plainly[-1].of("late").quality.nll.value, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(baseline="early"), "not in model"),
        (Settings(faults="audio.noise"), "does not read audio"),
        (Settings(severities=(9,)), "allowed are 1 to 5"),
    ],
    ids=["baseline", "fault", "severity"],
)
def test_what_cannot_be_compared_is_refused(bundle, rows, settings, words):
    with pytest.raises(CallError, match=words):
        Comparing(load(bundle), rows, settings)
    with pytest.raises(CallError, match="no record"):
        Comparing(load(bundle), [], Settings())


def test_the_verb_prints_strategies_and_verdict_and_writes_what_it_found(bundle, rows, tmp_path, capsys):
    broken = replace(rows[0], id="broken", image=media_from_bytes(b"\x89PNG\r\n\x1a\nno picture", "b.png"))
    assert not write_records([*rows[:24], broken], tmp_path / "set")
    out = tmp_path / "out"
    call = ["compare", "--model", str(bundle), "--records", str(tmp_path / "set"), "--faults", "text.empty"]
    assert main([*call, "--out", str(out)]) == 3
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["kind"] for line in lines] == ["error", "strategy", "strategy", "verdict"]
    assert (lines[0]["id"], lines[0]["code"]) == ("broken", "image_damaged")
    assert lines[1]["quality"]["records"] == 24
    assert lines[-1]["needs"] in ("undecided", "independent", "interaction")
    assert "left" in said.err
    found, _ = read_comparison(out / "comparison.json")
    assert found.refused == 1
    assert (
        len(pd.read_parquet(out / "comparison.parquet")) == len((out / "comparison.csv").read_text().splitlines()) - 1
    )
    assert main([*call, "--severities", "x"]) == 2


def test_the_long_table_is_exact_and_its_csv_safe(whole):
    last = whole[0][-1]
    odd = replace(last, strategies=(replace(last.strategies[0], strategy="=cmd()"), *last.strategies[1:]))
    table = long_table(odd)
    accuracy = table[(table["measure"] == "accuracy") & (table["strategy"] == "concat")].iloc[0]
    assert accuracy["value"] == last.of("concat").quality.accuracy.value
    assert accuracy["records"] == COUNT
    cells = [row[0] for row in csv.reader(io.StringIO(as_csv(table)))][1:]
    assert set(cells) == {"'=cmd()", "concat"}
    assert pd.read_parquet(io.BytesIO(as_parquet(table))).equals(table)
    assert json.loads(as_json(table))[0]["strategy"] == "=cmd()"
