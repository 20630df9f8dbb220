"""Findings over generated tables: the planted slice and day are found, and nothing where nothing is planted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from fusion_core.diagnose.pocket import Pocket
from fusion_core.diagnose.population import findings
from fusion_core.diagnose.population.scans import is_shadow
from fusion_core.diagnose.reference import STEPS, Reference, Spread
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.signals import Profile
from fusion_core.diagnose.slices import table_of

START = datetime(2025, 3, 1)
NORMAL = tuple(float(q) for q in np.quantile(np.random.default_rng(9).normal(size=4000), np.linspace(0, 1, STEPS)))


def reference() -> Reference:
    names = ("audio.floor", "pair.text+image", "model.confidence")
    return Reference(400, "late", {}, {n: Spread(NORMAL, 1.0, 1.0) for n in names}, Profile(), {})


def table(count: int, planted: bool, seed: int = 0) -> list[Row]:
    """600 records over 30 days; from day 20 on, device `b` sends noisy audio four times in ten."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        day = int(random.integers(30))
        device = "abc"[random.integers(3)]
        share = 0.4 if planted and device == "b" and day >= 20 else 0.015
        hit = random.random() < share
        rows.append(
            Row(
                id=f"r{number}",
                modality="audio" if hit else "none",
                fault="corrupted" if hit else "none",
                rule="audio_noise" if hit else "",
                timestamp=START + timedelta(days=day, hours=int(random.integers(24))),
                columns={"device": device, "country": "xyz"[random.integers(3)], "note": f"free text {number}"},
                signals={"audio.floor": float(random.normal()), "pair.text+image": float(random.normal())},
            )
        )
    return rows


def test_the_planted_slice_and_day_are_found():
    found = [f for f in findings(table(900, planted=True), reference()) if f.rule == "audio_noise"]
    assert len(found) == 1
    finding = found[0]
    assert finding.slice == {"device": "b"}
    assert abs(date.fromisoformat(finding.since or "1970-01-01") - date(2025, 3, 21)) <= timedelta(days=2)
    assert (finding.lift or 0) > 3
    assert 0.2 < finding.severity <= 1
    assert finding.record_ids
    assert "device is b" in finding.message


@pytest.mark.parametrize("seed", range(3))
def test_a_table_without_a_change_has_no_finding(seed):
    assert findings(table(900, planted=False, seed=seed), reference()) == []


def two_incidents(seed: int = 0) -> list[Row]:
    """Audio is missing seven times in ten in region `eu` from day 10 on, and in app `c` from day 40 on."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(2400):
        day, region, app = (
            int(random.integers(56)),
            ("eu", "us", "apac")[random.integers(3)],
            "abcd"[random.integers(4)],
        )
        met = (region == "eu" and day >= 10) or (app == "c" and day >= 40)
        hit = bool(random.random() < (0.7 if met else 0.01))
        cause = ("audio", "missing", "audio_missing") if hit else ("none", "none", "")
        rows.append(Row(str(number), *cause, START + timedelta(days=day), {"region": region, "app": app}))
    return rows


def test_a_second_incident_of_the_same_cause_is_found_and_no_third():
    found = findings(two_incidents(), reference())
    assert {(*f.slice.items(), f.since, f.until) for f in found} == {
        (("region", "eu"), "2025-03-11", None),
        (("app", "c"), "2025-04-10", None),
    }
    assert all(f.evidence["elsewhere"] < 0.03 for f in found)  # neither counts as elsewhere of the other


def test_the_edge_of_a_pocket_is_no_second_one_but_a_return_is():
    random = np.random.default_rng(5)
    spans = [(20, 24), (90, 104)]
    rows = []
    for number in range(2400):
        day, region = int(random.integers(120)), ("eu", "us", "apac")[random.integers(3)]
        low = region == "eu" and day in (18, 19, 25)  # begins and ends with a few
        met = region == "eu" and any(a <= day <= b for a, b in spans)
        hit = random.random() < (0.9 if met else 0.3 if low else 0.005)
        cause = ("audio", "missing") if hit else ("none", "none")
        rows.append(Row(str(number), *cause, "", START + timedelta(days=day), {"region": region}))
    found = findings(rows, reference())
    days = [(date.fromisoformat(str(f.since)) - START.date()).days for f in found]
    assert {(*f.slice.items(),) for f in found} == {(("region", "eu"),)}
    assert sorted(days) == [pytest.approx(20, abs=2), pytest.approx(90, abs=1)]


def test_what_lies_in_a_pocket_or_on_its_edge_is_its_shadow():
    days = [date(2025, 1, 1) + timedelta(days=k // 12) for k in range(600)]
    table = table_of([{"region": "abc"[k % 3], "app": "xyz"[k % 3], "flag": "pq"[k % 2]} for k in range(600)], days)

    def pocket(column: str, value: str, since: int, until: int) -> Pocket:
        bare = Pocket(column, value, days[12 * since], days[12 * until], np.zeros(600, bool), 9.0, 0.001)
        return replace(bare, rows=bare.among(table))

    found = pocket("region", "a", 10, 20)
    assert is_shadow(pocket("region", "a", 22, 24), found, table)  # the same slice, two days later
    assert is_shadow(pocket("app", "x", 10, 20), found, table)  # the same rows by another name
    assert is_shadow(pocket("app", "x", 8, 9), found, table)  # and their edge
    assert not is_shadow(pocket("region", "a", 30, 40), found, table)  # a return
    assert not is_shadow(pocket("region", "b", 10, 20), found, table)
    assert not is_shadow(pocket("flag", "p", 10, 20), found, table)  # a third of it


def test_wrong_answers_gather_in_two_places():
    random = np.random.default_rng(6)
    columns = [{"source": "abcde"[random.integers(5)], "app": "xyz"[random.integers(3)]} for _ in range(2000)]
    rates = [0.6 if row["source"] == "b" else 0.45 if row["app"] == "z" else 0.1 for row in columns]
    rows = [
        Row(str(k), "none", "none", columns=row, correct=bool(random.random() > rate))
        for k, (row, rate) in enumerate(zip(columns, rates, strict=True))
    ]
    found = findings(rows, reference())
    assert sorted((f.rule, *f.slice.items()) for f in found) == [
        ("unexplained", ("app", "z")),
        ("unexplained", ("source", "b")),
    ]


def test_a_finding_says_of_how_many_and_which_columns_were_not_scanned_whole():
    random = np.random.default_rng(7)
    rows = [
        Row(str(k), *(("text", "missing") if k % 3 == 0 else ("none", "none")), "", None, {"half": "ab"[k % 3 == 0],
            "country": f"c{random.integers(150)}"})
        for k in range(3000)
    ]  # fmt: skip
    (found,) = findings(rows, reference())
    assert found.message == "Text missing in 100% of 1,000 records where half is b; 0.0% of 2,000 elsewhere."
    assert found.evidence["columns_cut"] == "country (100 of 150 values)"


def test_every_scan_is_told_and_all_share_one_level():
    told = []
    findings(two_incidents()[:600], reference(), lambda *step: told.append(step))
    assert told == [("scanned", k, 3) for k in (1, 2, 3)]


def test_a_drifted_signal_is_found():
    rows = [Row(str(k), "none", "none", signals={"audio.floor": 1.0 + x}) for k, x in enumerate(_normal(300))]
    found = findings(rows, reference())
    assert [(f.rule, f.modality) for f in found] == [("drift", "audio")]


def test_shuffled_pairs_show_as_disagreement_where_they_are():
    rows = [
        Row(str(k), "none", "none", columns={"source": "ab"[k % 2]}, signals={"pair.text+image": x + 2.0 * (k % 2)})
        for k, x in enumerate(_normal(400))
    ]
    found = [f for f in findings(rows, reference()) if f.fault == "mismatched"]
    assert [f.slice for f in found] == [{"source": "b"}]


def test_wrong_answers_without_a_cause_are_a_finding_only_where_they_are_commoner():
    rows = [
        Row(str(k), "none", "none", columns={"source": "ab"[k % 2]}, correct=bool(x > (0.9 if k % 2 else -1.0)))
        for k, x in enumerate(_normal(400))
    ]
    found = findings(rows, reference())
    assert [(f.rule, f.fault, f.slice) for f in found] == [("unexplained", "none", {"source": "b"})]
    assert not set(found[0].record_ids) & {r.id for r in rows if r.correct}


def test_wrong_answers_where_modalities_disagree_are_a_mismatch_told_once():
    rows = [
        Row(
            *(str(k), "none", "none"),
            columns={"source": "abcd"[k % 4]},
            signals={"pair.text+image": float(x) + (1.0 if k % 4 == 0 else 0.0)},
            correct=k // 4 % 20 > (8 if k % 4 == 0 else 2),
        )
        for k, x in enumerate(_normal(800))
    ]
    found = [f for f in findings(rows, reference()) if f.rule in ("unexplained", "disagreement")]
    assert [(f.rule, f.modality, f.fault, f.slice) for f in found] == [
        ("unexplained", "pair", "mismatched", {"source": "a"})
    ]
    assert "text and image disagree" in found[0].message


def test_wrong_answers_that_no_modality_disputes_are_wrong_labels():
    noise = _normal(800)
    rows = [
        Row(
            *(str(k), "none", "none"),
            columns={"source": "abcd"[k % 4]},
            signals={"pair.text+image": float(x), "label.alone": float(x) - (3.0 if k % 4 == 0 else 0.0)},
            correct=k // 4 % 20 > (8 if k % 4 == 0 else 2),
        )
        for k, x in enumerate(noise)
    ]
    found = [f for f in findings(rows, reference()) if f.rule == "unexplained"]
    assert [(f.modality, f.fault, f.slice) for f in found] == [("label", "mislabelled", {"source": "a"})]


def test_one_modality_that_decides_is_told_of_many_records_only():
    names = [f"pair.{m}.overrules" for m in ("text", "image")]
    usual = tuple(float(k >= 37) for k in range(STEPS))  # a tenth
    known = Reference(400, "late", {}, {n: Spread(usual, 1.0, 1.0) for n in names}, Profile(), {})
    rows = [
        Row(str(k), "none", "none", signals={names[0]: float(k % 10 == 0), names[1]: float(k % 3 == 0)})
        for k in range(600)
    ]
    told = [f for f in findings(rows, known) if f.rule == "dominance"]
    assert [(f.modality, f.fault) for f in told] == [("image", "dominated")]
    assert not [f for f in findings(rows[:400], known) if f.rule == "dominance"]


def test_confidence_that_is_not_to_be_believed_is_told_and_sound_one_is_not():
    random = np.random.default_rng(3)
    confidence = random.uniform(0.4, 1.0, 1500)
    sound, bold = confidence > random.random(1500), confidence - 0.15 > random.random(1500)

    def rows(right: np.ndarray) -> list[Row]:
        return [
            Row(str(k), "none", "none", signals={"model.confidence": 0.5}, correct=bool(r), confidence=float(c))
            for k, (c, r) in enumerate(zip(confidence, right, strict=True))
        ]

    assert not [f for f in findings(rows(sound), reference()) if f.rule == "calibration"]
    (told,) = [f for f in findings(rows(bold), reference()) if f.rule == "calibration"]
    assert told.evidence["gap"] == pytest.approx(0.15, abs=0.04)


def _normal(count: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=count)
