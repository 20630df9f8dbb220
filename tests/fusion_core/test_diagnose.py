"""Diagnosis of real records with the shipped bundle: quiet on clean ones, right on clear faults, safe on disk."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from fusion_core.bundle import load
from fusion_core.diagnose.calibrate import calibrate
from fusion_core.diagnose.judge import rank
from fusion_core.diagnose.lines import record_line
from fusion_core.diagnose.look import look
from fusion_core.diagnose.reference import STEPS, Reference, Spread
from fusion_core.diagnose.reference_file import load_reference, save_reference
from fusion_core.diagnose.repeats import Memory, repeat_shares
from fusion_core.diagnose.run import case_of, examine_rows
from fusion_core.diagnose.signals import Profile, measure
from fusion_core.errors import ModelError
from fusion_core.reading.records import read
from fusion_core.types import CAUSES, Clue, Failure, Refusal
from tests.bench.damage import DAMAGES
from tests.conftest import SAMPLES

BUNDLE = SAMPLES / "bundles" / "feedback"
pytestmark = pytest.mark.skipif(not (BUNDLE / "reference.json").exists(), reason="the sample bundle has no reference")


@pytest.fixture(scope="module")
def model():
    return load(BUNDLE)


@pytest.fixture(scope="module")
def reference():
    return load_reference(BUNDLE)


@pytest.fixture(scope="module")
def records():
    return read(SAMPLES / "feedback" / "test").records


def test_clean_records_are_seldom_accused(model, reference, records):
    found = list(examine_rows(model, reference, records[100:140]))
    accused = [e.record.id for e in found if e.diagnosis.cause.fault != "none"]
    assert len(accused) <= 4, accused


@pytest.mark.parametrize(
    ("kind", "modality", "fault"),
    [damage for damage in DAMAGES if damage[0] not in ("text.typos", "image.crop", "audio.echo")],
)
def test_clear_faults_are_named(model, reference, records, kind, modality, fault):
    damage = DAMAGES[kind, modality, fault]
    damaged = [damage(r, 4, np.random.default_rng(k)) for k, r in enumerate(records[3:6])]
    said = [e.diagnosis for e in examine_rows(model, reference, damaged)]
    right = [d for d in said if (d.cause.modality, d.cause.fault) == (modality, fault)]
    assert len(right) >= 2, [(d.cause, d.clues[:2]) for d in said]
    assert all(d.clues[0].sentence for d in right)


def test_a_record_line_ranks_every_cause_and_sums_to_one(model, reference, records):
    damaged = replace(records[5], text="")
    (found,) = examine_rows(model, reference, [damaged])
    line = json.loads(json.dumps(record_line(found.diagnosis), allow_nan=False))
    assert {(c["modality"], c["fault"]) for c in line["ranked"]} == set(CAUSES)
    assert [c["score"] for c in line["ranked"]] == sorted((c["score"] for c in line["ranked"]), reverse=True)
    assert sum(c["score"] for c in line["ranked"]) == pytest.approx(1.0)
    assert (line["cause"]["modality"], line["cause"]["fault"]) == ("text", "missing")
    assert line["repairs"][0]["fixes"] in (True, False)


def test_a_missing_modality_is_named_and_refused_rows_keep_their_place(model, reference, records):
    rows = [replace(records[0], audio=None), Refusal("bad", "image_damaged", "cut"), records[1]]
    found = list(examine_rows(model, reference, rows))
    assert (found[0].diagnosis.cause.modality, found[0].diagnosis.cause.fault) == ("audio", "missing")
    assert found[1] == Failure("bad", None, "image_damaged", "cut")


def test_stale_media_and_whole_repeats(model, reference, records):
    stale = replace(records[1], image=records[0].image)
    again = replace(records[0], id="again")
    found = [e.diagnosis.cause for e in examine_rows(model, reference, [records[0], stale, again])]
    assert [(c.modality, c.fault) for c in found[1:]] == [("image", "duplicated"), ("pair", "duplicated")]


def test_memory_holds_fifty_records_of_a_source_and_no_text(records):
    memory = Memory()
    assert memory.repeats(records[0]) == {}
    for record in records[1:50]:
        memory.repeats(record)
    assert set(memory.repeats(replace(records[0], id="x"))) == {"image", "audio"}
    other = replace(records[0], meta={"source": "elsewhere"})
    assert memory.repeats(other) == {}
    assert repeat_shares([records[0], records[0]]) == {"image": 0.5, "audio": 0.5}


def test_what_clean_records_repeat_is_no_evidence(model, reference, records):
    common = replace(reference, repeats={"image": 0.6, "audio": 0.6})
    found = list(examine_rows(model, common, [records[20], replace(records[20], id="x")]))
    assert found[1].diagnosis.cause.fault == "none"


def test_the_reference_survives_the_disk_and_only_unchanged(reference, tmp_path):
    for name in ("model.json",):
        shutil.copy(BUNDLE / name, tmp_path / name)
    save_reference(reference, tmp_path)
    kept = load_reference(tmp_path)
    assert kept.limits == pytest.approx(reference.limits)
    assert kept.spreads.keys() == reference.spreads.keys()
    assert kept.profile.words == reference.profile.words
    assert sum((BUNDLE / f"reference.{end}").stat().st_size for end in ("json", "safetensors")) < 300_000
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="another model"):
        load_reference(tmp_path)
    shutil.copy(BUNDLE / "model.json", tmp_path / "model.json")
    (tmp_path / "reference.json").write_text((tmp_path / "reference.json").read_text()[:-40])
    with pytest.raises(ModelError, match="damaged"):
        load_reference(tmp_path)
    (tmp_path / "reference.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no reference\.safetensors"):
        load_reference(tmp_path)


def test_signals_of_a_record_are_finite(model, reference, records):
    seen, _ = look(model, records[0])
    assert all(np.isfinite(value) for value in measure(seen, reference.profile).values())
    assert case_of(reference, seen, {}).absent == frozenset()


def test_nothing_wrong_leads_until_a_clue_passes_its_limit():
    weak, strong = (Clue("r", "image", "corrupted", strength, "") for strength in (0.9, 1.5))
    assert rank([weak])[0].fault == "none"
    assert (rank([strong])[0].modality, rank([strong])[0].fault) == ("image", "corrupted")


def test_limits_spend_their_false_alarms_where_they_buy_most():
    spread = Spread(tuple(np.linspace(-2, 2, STEPS)), 1.0, 1.0)
    names = ("image.blockiness", "image.zeroed", "text.odd_marks")
    bare = Reference(200, "late", {}, dict.fromkeys(names, spread), Profile(), {})
    values = [{"image.blockiness": 25.0 if k < 3 else 2.0, "text.odd_marks": 2.0 + k / 100} for k in range(200)]
    limits = calibrate(bare, values)
    assert limits["image_blocks"] < 3.0
    assert limits["text_marks"] > 1.2 * 2.9
