"""Faults put in on purpose: every kind does what its name says, to as many records as asked, the same each time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fusion_core.cli import main
from fusion_core.commands.inject import KINDS
from fusion_core.errors import CallError
from fusion_core.faults import COLUMNS, fault
from fusion_core.faults.inject import inject
from fusion_core.reading.media import decode_audio, decode_image, media_from_bytes, read_media
from fusion_core.reading.records import read
from fusion_core.types import CAUSES, Record, Refusal
from tests.conftest import SAMPLES

SET = SAMPLES / "feedback" / "test"
TABLE = {
    "corrupted": "text.typos text.mojibake text.shuffle image.noise image.blur image.jpeg image.dark "
    "image.channel_swap image.rotate audio.clip audio.echo audio.noise",
    "out_of_domain": "text.language image.vendor audio.rate",
    "missing": "text.empty image.blank audio.silence",
    "truncated": "text.truncate audio.cut image.crop",
    "mismatched": "pair.shuffle",
    "duplicated": "pair.stale pair.duplicate",
    "mislabelled": "label.flip",
}
EVERYTHING = ("text", "image", "audio", "label")


@pytest.fixture(scope="module")
def records() -> tuple[Record, ...]:
    return read(SET).records[:6]


def changed(before: Record, after: Record) -> set[str]:
    return {name for name in EVERYTHING if getattr(before, name) != getattr(after, name)}


def pixels(record: Record) -> np.ndarray:
    return decode_image(read_media(record.image), "x.png").pixels.astype(np.float64)


def samples(record: Record) -> np.ndarray:
    return decode_audio(read_media(record.audio), "x.flac").samples.astype(np.float64)


def test_every_kind_is_there_and_is_called_what_the_design_calls_it():
    assert {name: about.fault for name, about in fault.items()} == {
        name: called for called, names in TABLE.items() for name in names.split()
    }
    assert ", ".join(fault) == KINDS
    assert all((about.modality, about.fault) in CAUSES for about in fault._parts.values())


@pytest.mark.parametrize("kind", list(fault))
def test_a_fault_changes_its_modality_only_and_says_so(records, kind):
    done = inject(records, kind, 3, seed=5)
    harmed = [(b, a) for b, a in zip(records, done, strict=True) if a.meta["fault"]]
    assert len(harmed) >= len(records) - 1  # the first record has none before it
    for before, after in harmed:
        assert after.meta["fault_kind"] == kind
        assert after.meta["fault"] == fault[kind].fault
        assert after.meta["fault_severity"] == 3
        expected = {
            "pair.shuffle": {"image", "audio"},
            "pair.stale": {"audio"},
            "pair.duplicate": {"image", "audio"},
        }.get(kind, {fault[kind].modality})
        assert changed(before, after) == expected
        assert after.meta["fault_modality"] == ("audio" if kind == "pair.stale" else fault[kind].modality)
        assert after.id == before.id
    assert done == inject(records, kind, 3, seed=5)


@pytest.mark.parametrize("kind", ["text.typos", "image.noise", "audio.rate", "pair.shuffle"])
def test_another_seed_is_another_harm(records, kind):
    assert inject(records, kind, seed=1) != inject(records, kind, seed=2)


def test_severities_are_in_their_units(records):
    for severity, ratio in enumerate((20, 15, 10, 5, 0), 1):
        noisy = [r for r in inject(records, "audio.noise", severity) if r.meta["fault"]]
        for before, after in zip(records, noisy, strict=True):
            clean = samples(before)
            noise = samples(after) - clean
            found = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
            assert found == pytest.approx(ratio, abs=1.0)
    for severity, sigma in enumerate((0.04, 0.08, 0.12, 0.18, 0.26), 1):
        grain = pixels(inject(records[:1], "image.noise", severity)[0]) - pixels(records[0])
        middle = (pixels(records[0]) > 60) & (pixels(records[0]) < 195)  # where clipping hardly reaches
        if sigma <= 0.12 and middle.sum() > 300:
            assert np.std(grain[middle]) / 255 == pytest.approx(sigma, rel=0.15)
    for severity, kept in enumerate((0.80, 0.65, 0.50, 0.35, 0.20), 1):
        assert len(inject(records, "text.truncate", severity)[0].text) == round(kept * len(records[0].text))
        cut = samples(inject(records[:1], "audio.cut", severity)[0])
        assert len(cut) == pytest.approx(kept * len(samples(records[0])), abs=1)
    sharpness = [np.std(np.diff(pixels(inject(records[:1], "image.blur", k)[0]), axis=1)) for k in range(1, 6)]
    assert sharpness == sorted(sharpness, reverse=True)


def test_a_wrong_rate_plays_at_another_speed_under_the_same_header(records):
    for severity, ratio in enumerate((1.088, 1.378, 1.5, 2.0, 3.0), 1):
        for before, after in zip(records, inject(records, "audio.rate", severity), strict=True):
            change = len(samples(after)) / len(samples(before))
            assert min(abs(change - ratio), abs(change - 1 / ratio)) < 0.01


def test_what_is_stale_is_of_the_record_before(records):
    for kind, held in (("pair.stale", ("audio",)), ("pair.duplicate", ("image", "audio"))):
        done = inject(records, kind, share=0.5, seed=3)
        last = records[0]
        assert not done[0].meta["fault"]
        for before, after in zip(records, done, strict=True):
            source = last if after.meta["fault"] else before
            assert [getattr(after, m).sha256 for m in held] == [getattr(source, m).sha256 for m in held]
            last = source  # a record sends again what the last one left alone sent: it is twice in the set
        assert [r.text for r in done] == [r.text for r in records]
    stuck = inject(records, "pair.stale")
    assert {r.audio.sha256 for r in stuck} == {records[0].audio.sha256}


def test_mixed_up_records_pass_their_media_on_in_a_ring(records):
    done = inject(records, "pair.shuffle", seed=2)
    assert sorted(r.image.sha256 for r in done) == sorted(r.image.sha256 for r in records)
    assert all(b.image.sha256 != a.image.sha256 for b, a in zip(records, done, strict=True))
    by_image = {r.image.sha256: r.audio.sha256 for r in records}
    assert all(by_image[r.image.sha256] == r.audio.sha256 for r in done)


def test_a_share_is_of_those_that_can_be_harmed():
    few = [Record(str(k), text="good morning" if k % 2 else None, label="a") for k in range(20)]
    done = inject(few, "text.typos", share=0.5, seed=3)
    assert sum(bool(r.meta["fault"]) for r in done) == 5
    assert all(not r.meta["fault"] for r in done if r.text is None)
    assert inject(few, "text.typos", share=0.0) == [
        Record(r.id, text=r.text, label="a", meta=dict.fromkeys(COLUMNS, "")) for r in few
    ]


def test_a_record_is_harmed_once(records):
    once = inject(records, "text.empty", share=0.5, seed=1)
    twice = inject(once, "image.blank", share=1.0, seed=1)
    kinds = [r.meta["fault_kind"] for r in twice]
    assert sorted(set(kinds)) == ["image.blank", "text.empty"]
    assert [k for k in kinds if k == "text.empty"] == [r.meta["fault_kind"] for r in once if r.meta["fault"]]


@pytest.mark.parametrize(
    ("kind", "severity", "share", "said"),
    [
        ("text.colour", 3, 1.0, "unknown fault"),
        ("text.typos", 0, 1.0, "severity 0; allowed are 1 to 5"),
        ("text.typos", 6, 1.0, "severity 6"),
        ("text.typos", 3, 1.2, "share 1.2"),
        ("text.typos", 3, float("nan"), "share nan"),
        ("audio.noise", 3, 1.0, "none of 2 records"),
        ("label.flip", 3, 1.0, "none of 2 records"),
    ],
)
def test_what_cannot_be_done_is_said(kind, severity, share, said):
    with pytest.raises(CallError, match=said):
        inject([Record("a", text="x y"), Record("b", text="z")], kind, severity, share)


def test_a_medium_that_cannot_be_decoded_becomes_a_refusal_and_takes_no_other_with_it(records):
    broken = Record("broken", image=media_from_bytes(b"\x89PNG\r\n\x1a\n" + b"no picture", "x.png"))
    done = inject([records[0], broken, Refusal("lost", "file_missing", "gone"), records[1]], "image.blur")
    assert [type(row).__name__ for row in done] == ["Record", "Refusal", "Refusal", "Record"]
    assert done[1].id == "broken"


def test_inject_writes_a_set_that_reads_back(tmp_path, capsys):
    out = tmp_path / "harmed"
    call = ["inject", "--records", str(SET), "--fault", "image.noise", "--severity", "2", "--share", "0.1", "--seed",
            "7", "--out", str(out)]  # fmt: skip
    assert main(call) == 0
    line = json.loads(capsys.readouterr().out)
    assert line == {"kind": "inject", "rows": 300, "ok": 300, "error": 0, "fault": "image.noise", "severity": 2,
                    "injected": 30}  # fmt: skip
    before, after = read(SET).records, read(out).records
    assert [r.id for r in after] == [r.id for r in before]
    harmed = [r for r in after if r.meta.get("fault")]
    assert len(harmed) == 30
    for one, other in zip(before, after, strict=True):
        same = {m: getattr(one, m).sha256 == getattr(other, m).sha256 for m in ("image", "audio")}
        assert same == {"image": not other.meta.get("fault"), "audio": True}
        assert {k: v for k, v in other.meta.items() if k not in COLUMNS} == dict(one.meta)
    assert main(call) == 2
    assert "is there already" in capsys.readouterr().err


def test_rows_that_cannot_be_read_are_told_and_counted(tmp_path, capsys):
    source = tmp_path / "set"
    source.mkdir()
    rows = [{"id": "a", "text": "good"}, {"id": "b", "image_file_name": "gone.png"}, {"id": "c", "text": "bad"}]
    (source / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    call = ["inject", "--records", str(source), "--fault", "text.empty", "--out", str(tmp_path / "out")]
    assert main(call) == 3
    error, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (error["kind"], error["id"], error["code"]) == ("error", "b", "file_missing")
    assert (last["rows"], last["ok"], last["error"], last["injected"]) == (3, 2, 1, 2)
    assert [(r.id, r.text) for r in read(tmp_path / "out").records] == [("a", " "), ("c", " ")]
