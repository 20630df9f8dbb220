"""The sample production log: what it holds, and that its six incidents were found."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pandas as pd
import pytest

from fusion_core.bundle import load
from fusion_core.diagnose.logged import logged_records
from fusion_core.diagnose.reference_file import load_reference
from fusion_core.diagnose.run import diagnose_record
from fusion_core.log.asking import Filter, Order
from fusion_core.log.caused import by_cause, causes_of
from fusion_core.log.queries import count, page
from fusion_core.log.store import Store
from sample_data.generators.feedback import SOURCE
from sample_data.generators.incidents import GERMAN, INCIDENTS
from sample_data.generators.sentences import sentence_pools
from tests.conftest import SAMPLES

LOG, BUNDLE = SAMPLES / "production", SAMPLES / "bundles" / "feedback"
TRUTH = json.loads((SAMPLES / "production_truth.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def store():
    with Store(LOG, "feedback") as opened:
        yield opened


@pytest.fixture(scope="module")
def rows(store):
    found = [page(store, None, Order("timestamp", False), start, 1_000) for start in range(0, count(store), 1_000)]
    return pd.concat(found, ignore_index=True)


def test_it_is_eight_weeks_of_a_labelled_service_in_four_releases(store, rows):
    assert len(rows) == TRUTH["records"] >= 3_000
    days = rows["timestamp"].dt.date
    assert (days.max() - days.min()).days == 55
    assert rows["release"].nunique() == 4
    assert rows["label"].notna().mean() == pytest.approx(0.75, abs=0.03)
    assert store.said == "1 of 1 parts"
    assert sum(path.stat().st_size for path in (LOG / "media").rglob("*") if path.is_file()) < 25_000_000


def test_it_says_sentences_of_the_test_pool_only(rows):
    pool = {text for own in sentence_pools(SOURCE)["test"].values() for text in own}
    german = {text for own in GERMAN.values() for text in own}
    for id, text in zip(rows["id"], rows["text"], strict=True):
        cut = TRUTH["accidents"].get(id) == "text truncated" and any(known.startswith(text) for known in pool)
        assert text in pool | german or cut, id


def test_every_record_that_met_an_incident_lies_in_its_slice_and_days(rows):
    known = rows.set_index("id")
    assert [entry["name"] for entry in TRUTH["incidents"]] == [incident.name for incident in INCIDENTS]
    for entry, incident in zip(TRUTH["incidents"], INCIDENTS, strict=True):
        own = known.loc[entry["record_ids"]]
        assert len(own) >= 60
        for time, *values in zip(own["timestamp"], own["release"], *(own[f"slice_{n}"] for n in SLICES), strict=True):
            assert incident.meets(time, dict(zip(("release", *SLICES), values, strict=True)))


SLICES = ("app", "channel", "market", "region")


@pytest.mark.parametrize("entry", TRUTH["incidents"], ids=lambda entry: entry["name"])
def test_the_incident_is_found_with_its_cause_slice_and_first_day(store, entry):
    diagnosed = store.opened[0].diagnosed
    assert diagnosed is not None
    own = [
        f
        for f in diagnosed.findings
        if (f.modality, f.fault, dict(f.slice)) == (entry["modality"], entry["fault"], entry["slice"])
    ]
    assert len(own) == 1, [(f.modality, f.fault, f.slice, f.since) for f in diagnosed.findings]
    (found,) = own
    assert abs(date.fromisoformat(str(found.since)) - date.fromisoformat(entry["since"])) <= timedelta(days=1)
    if entry["until"]:
        assert abs(date.fromisoformat(str(found.until)) - date.fromisoformat(entry["until"])) <= timedelta(days=1)
    assert (found.lift or 0) > 2
    assert set(found.record_ids) & set(entry["record_ids"])


def test_clean_records_are_seldom_accused(store):
    met = {id for entry in TRUTH["incidents"] for id in entry["record_ids"]} | set(TRUTH["accidents"])
    causes = store.ask("SELECT id, cause FROM causes")
    clean = causes[~causes["id"].isin(met)]
    assert len(clean) > 1_500
    assert (clean["cause"] != "none none").mean() < 0.08


def test_the_shipped_causes_are_what_the_diagnosis_says_of_the_media(store):
    model, reference = load(BUNDLE), load_reference(BUNDLE)
    strategy = reference.strategy
    known = [record for number, (record, _) in enumerate(logged_records(store, strategy)) if number % 300 == 7]
    kept = causes_of(store, [record.id for record in known]).set_index("id")["cause"]
    said = {r.id: diagnose_record(model, reference, r).cause for r in known}
    assert len(said) >= 10
    for id, cause in said.items():
        if "duplicated" not in kept[id]:  # needs the records before
            assert f"{cause.modality} {cause.fault}" == kept[id]


def test_causes_add_up_to_the_rows(store):
    assert by_cause(store)["rows"].sum() == count(store)
    assert count(store, Filter(cause="any")) == by_cause(store).query("cause != 'none none'")["rows"].sum()
