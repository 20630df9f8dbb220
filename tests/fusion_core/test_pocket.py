"""The scan for where and when: the planted slice and days come out to the day, and chance makes none."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from fusion_core.diagnose import pocket
from fusion_core.diagnose.pocket import Pocket
from fusion_core.diagnose.pocket import find_pocket as find_in_table
from fusion_core.diagnose.scan import Likelihood, Scan
from fusion_core.diagnose.slices import table_of


def find_pocket(columns, days, values, **more) -> Pocket | None:
    return find_in_table(table_of(columns, days), values, **more)


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


def test_a_column_of_many_values_is_scanned_by_its_most_frequent():
    random = np.random.default_rng(0)
    countries = random.integers(60, size=3000)
    columns = [{"country": f"c{k:02d}"} for k in countries]
    hits = np.where(countries == 47, random.random(3000) < 0.9, random.random(3000) < 0.02)
    found = find_pocket(columns, [None] * 3000, hits)
    assert found is not None
    assert (found.column, found.value, found.cut) == ("country", "c47", ())


def test_values_that_were_not_scanned_are_told():
    columns = [{"user": f"u{k % 150}", "half": "ab"[k % 2]} for k in range(3000)]
    found = find_pocket(columns, [None] * 3000, np.arange(3000) % 2 == 0)
    assert found is not None
    assert (found.column, found.value, found.cut) == ("half", "a", ("user (100 of 150 values)",))


@pytest.mark.parametrize("began", [100, 101, 103, 212, 300])
@pytest.mark.parametrize("length", [365, 900])
def test_days_are_exact_in_long_logs_too(began, length):
    days = [date(2024, 1, 1) + timedelta(days=k // 10) for k in range(10 * length)]
    number = np.arange(10 * length) // 10
    random = np.random.default_rng(began)
    hits = np.where((number >= began) & (number < began + 40), random.random(len(days)) < 0.95, False)
    found = find_pocket([{} for _ in days], days, hits)
    assert found is not None
    assert found.since == date(2024, 1, 1) + timedelta(days=began)
    assert found.until == date(2024, 1, 1) + timedelta(days=began + 39)


def test_what_one_scan_gains_is_the_likelihood_ratio():
    rows = table_of([{"app": "ab"[k >= 60]} for k in range(100)], [None] * 100)
    hits = np.array([k >= 70 for k in range(100)])
    best = Scan(rows.slices(), rows.days, Likelihood(hits, rates=True)).best(hits)
    inside, outside, all_rows = (k * np.log(k / n) + (n - k) * np.log1p(-k / n) if k else 0.0
                                 for k, n in ((30, 40), (0, 60), (30, 100)))  # fmt: skip
    assert best.gain == pytest.approx(inside + outside - all_rows)


def test_dealing_stops_once_the_answer_is_known(monkeypatch):
    scans = []
    best = Scan.best
    monkeypatch.setattr(Scan, "best", lambda scan, values: scans.append(1) or best(scan, values))
    random = np.random.default_rng(0)
    columns = [{"app": "abcdef"[k]} for k in random.integers(6, size=1200)]
    assert find_pocket(columns, [None] * 1200, random.random(1200) < 0.1) is None
    few = len(scans)
    assert few < pocket.FEWEST_DEALS
    assert find_pocket(columns, [None] * 1200, np.array([row["app"] == "b" for row in columns])) is not None
    assert len(scans) - few == pocket.FEWEST_DEALS + 1


def test_many_columns_make_coarser_steps_and_the_same_pocket():
    random = np.random.default_rng(1)
    days = [date(2025, 1, 1) + timedelta(days=int(d)) for d in random.integers(70, size=1500)]
    columns = [{f"n{c}": f"v{v}" for c, v in enumerate(random.integers(25, size=30))} for _ in days]
    assert table_of(columns, days).slices().most_steps < 70
    hits = np.array([row["n7"] == "v3" and day >= date(2025, 1, 20) for row, day in zip(columns, days, strict=True)])
    found = find_pocket(columns, days, hits | (random.random(1500) < 0.01))
    assert found is not None
    assert (found.column, found.value) == ("n7", "v3")
    assert found.since is not None
    first = min(day for day, hit in zip(days, hits, strict=True) if hit)
    assert abs(found.since - first) <= timedelta(days=1)
