"""Findings over generated tables: the planted slice and day are found, and nothing where nothing is planted."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from fusion_core.diagnose.onset import find_onset
from fusion_core.diagnose.population import findings
from fusion_core.diagnose.reference import STEPS, Reference, Spread
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.signals import Profile
from fusion_core.diagnose.slices import find_slice

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


def test_wrong_answers_are_a_finding_only_where_they_are_commoner():
    rows = [
        Row(str(k), "none", "none", columns={"source": "ab"[k % 2]}, correct=bool(x > (0.9 if k % 2 else -1.0)))
        for k, x in enumerate(_normal(400))
    ]
    found = findings(rows, reference())
    assert [(f.rule, f.slice) for f in found] == [("errors", {"source": "b"})]


def test_onset_needs_a_rise_and_two_days():
    days = [date(2025, 1, 1) + timedelta(days=k // 20) for k in range(400)]
    hits = np.arange(400) >= 240
    found = find_onset(days, hits)
    assert found is not None
    assert (found.day, found.before, found.after) == (date(2025, 1, 13), 0.0, 1.0)
    assert find_onset(days, ~hits) is None
    assert find_onset(days[:5], hits[:5]) is None


def test_columns_of_names_are_no_slices():
    hits = np.arange(100) < 50
    assert find_slice([{"id": str(k)} for k in range(100)], hits) is None
    found = find_slice([{"half": "first" if k < 50 else "second"} for k in range(100)], hits)
    assert found is not None
    assert found.value == "first"


def _normal(count: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=count)
