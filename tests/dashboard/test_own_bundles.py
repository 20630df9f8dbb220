"""Models that a browser fitted: named plainly, seen by it alone, the oldest gone first."""

from __future__ import annotations

import pytest

from dashboard.own_bundles import KEPT_PER_BROWSER, Bundles, OwnBundle, checked_name
from dashboard.uploads import OpenSet
from fusion_core.errors import CallError
from fusion_core.reading.records import RecordSet


def kept(bundles, owner, name="mine", taken=(), **more):
    folder = bundles.room(owner, name, taken)
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    bundles.keep(owner, OwnBundle(folder, **more))
    return folder


@pytest.mark.parametrize("name", ["mine", "A-b_9", "x" * 40])
def test_a_plain_word_names_a_bundle(name):
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "x" * 41, "é", "a\n", "<b>", "a.b", "\u202e"], ids=ascii)
def test_anything_else_is_refused_and_the_rule_is_said(name):
    with pytest.raises(CallError, match="letters a to z, digits, dash, underscore"):
        checked_name(name)


def test_a_browser_sees_its_own_bundles_only():
    bundles = Bundles()
    folder = kept(bundles, "ana", link="key")
    assert [b.folder for b in bundles.of("ana")] == [folder]
    assert bundles.of("ben") == []
    assert bundles.link("ana", folder) == "key"
    assert bundles.link("ben", folder) == ""


def test_a_name_that_is_taken_gets_a_number():
    bundles = Bundles()
    assert kept(bundles, "ana", "feedback", taken=["feedback"]).name == "feedback-2"
    assert kept(bundles, "ana", "feedback", taken=["feedback"]).name == "feedback-3"
    assert kept(bundles, "ben", "feedback").name == "feedback"
    long = kept(bundles, "ana", "x" * 40, taken=["x" * 40]).name
    assert long == "x" * 36 + "-2"
    assert checked_name(long)


def test_the_oldest_of_a_browser_goes_with_its_files():
    bundles = Bundles()
    folders = [kept(bundles, "ana") for _ in range(KEPT_PER_BROWSER + 1)]
    other = kept(bundles, "ben")
    assert [b.folder for b in bundles.of("ana")] == folders[1:]
    assert not folders[0].exists()
    assert all(folder.exists() for folder in (*folders[1:], other))


def test_the_part_of_a_log_it_was_fitted_on_is_found_by_its_link():
    bundles, opened = Bundles(), OpenSet("fit-1", "log", RecordSet(()), link="fit-1")
    kept(bundles, "ana", link="fit-1", opened=opened)
    assert bundles.set_of("ana", "fit-1") is opened
    assert bundles.set_of("ana", "") is None
    assert bundles.set_of("ben", "fit-1") is None
