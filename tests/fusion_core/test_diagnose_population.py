"""Findings over generated tables: the planted slice and day are found, and nothing where nothing is planted."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from fusion_core.diagnose.pocket import find_pocket
from fusion_core.diagnose.population import findings
from fusion_core.diagnose.reference import STEPS, Reference, Spread
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.signals import Profile

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


def test_something_that_began_and_ended_has_a_first_and_a_last_day():
    days = [date(2025, 1, 1) + timedelta(days=k // 20) for k in range(800)]
    hits = np.array([200 <= k < 260 for k in range(800)])
    found = find_pocket([{} for _ in days], days, hits)
    assert found is not None
    assert (found.column, found.since, found.until) == ("", date(2025, 1, 11), date(2025, 1, 13))
    assert found.rows.tolist() == hits.tolist()
    goes_on = find_pocket([{} for _ in days], days, np.arange(800) >= 240)
    assert goes_on is not None
    assert (goes_on.since, goes_on.until) == (date(2025, 1, 13), None)


def test_a_slice_is_named_only_where_it_says_more_than_its_days():
    days = [date(2025, 1, 1) + timedelta(days=k // 20) for k in range(800)]
    release = [{"release": "one" if k < 400 else "two", "region": "abcd"[k % 4]} for k in range(800)]
    burst = np.array([200 <= k < 240 for k in range(800)])  # two days, all of them of release one
    found = find_pocket(release, days, burst)
    assert found is not None
    assert (found.column, found.since, found.until) == ("", date(2025, 1, 11), date(2025, 1, 12))
    confined = find_pocket(release, days, np.array([k >= 500 and k % 4 == 2 for k in range(800)]))
    assert confined is not None
    assert (confined.column, confined.value, confined.since) == ("region", "c", date(2025, 1, 26))


def test_a_slice_that_came_late_begins_with_its_first_row():
    days = [date(2025, 1, 1) + timedelta(days=k // 20) for k in range(800)]
    columns = [{"app": "new" if k >= 600 and k % 3 == 0 else "old"} for k in range(800)]
    found = find_pocket(columns, days, np.array([row["app"] == "new" for row in columns]))
    assert found is not None
    assert (found.column, found.value, found.since, found.until) == ("app", "new", date(2025, 1, 31), None)


@pytest.mark.parametrize("seed", range(4))
def test_chance_makes_no_pocket(seed):
    random = np.random.default_rng(seed)
    days = [date(2025, 1, 1) + timedelta(days=int(d)) for d in random.integers(56, size=1500)]
    columns = [{n: "abcdef"[random.integers(6)] for n in ("app", "region", "release")} for _ in days]
    assert find_pocket(columns, days, random.random(1500) < 0.1) is None
    assert find_pocket(columns, days, random.normal(size=1500)) is None


def test_numbers_are_compared_by_their_mean():
    random = np.random.default_rng(2)
    days = [date(2025, 1, 1) + timedelta(days=k // 30) for k in range(1200)]
    columns = [{"region": "abcde"[k % 5]} for k in range(1200)]
    values = random.normal(size=1200) + np.array([0.9 * (k >= 700 and k % 5 == 1) for k in range(1200)])
    found = find_pocket(columns, days, values)
    assert found is not None
    assert (found.column, found.value) == ("region", "b")
    assert found.since is not None
    assert abs(found.since - date(2025, 1, 24)) <= timedelta(days=2)


def test_columns_of_names_are_no_slices_and_rows_without_a_day_are_counted():
    hits = np.arange(100) < 50
    assert find_pocket([{"id": str(k)} for k in range(100)], [None] * 100, hits) is None
    found = find_pocket([{"half": "first" if k < 50 else "second"} for k in range(100)], [None] * 100, hits)
    assert found is not None
    assert (found.value, found.since, found.until, int(found.rows.sum())) == ("first", None, None, 50)


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
            Row(str(k), "none", "none", signals={"model.confidence": float(c)}, correct=bool(r))
            for k, (c, r) in enumerate(zip(confidence, right, strict=True))
        ]

    assert not [f for f in findings(rows(sound), reference()) if f.rule == "calibration"]
    (told,) = [f for f in findings(rows(bold), reference()) if f.rule == "calibration"]
    assert told.evidence["gap"] == pytest.approx(0.15, abs=0.04)


def _normal(count: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=count)
