"""Donors of a model that was not fitted here: as many as it can afford, of records that can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fusion_core.asked import Asked
from fusion_core.errors import CallError
from fusion_core.foreign import donors, load_foreign
from fusion_core.reading.media import media_from_bytes
from fusion_core.reading.records import read
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.tiny import FAMILIES

LABELS = Asked(labels=("red", "blue"))
CUT = media_from_bytes(b"\x89PNG\r\n\x1a\n cut", "cut.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return FAMILIES["clip"](tmp_path_factory.mktemp("donors") / "clip")


@pytest.fixture(scope="module")
def records():
    return read(SAMPLES / "scene_qa" / "test").records[:40]


@pytest.fixture
def encoded(monkeypatch):
    """The numbers of records that were encoded, call by call."""
    counts = []
    whole = donors.encode_records
    monkeypatch.setattr(
        donors, "encode_records", lambda stack, chosen: counts.append(len(chosen)) or whole(stack, chosen)
    )
    return counts


@pytest.mark.parametrize(("seconds", "count", "calls"), [(9.0, 4, [4]), (0.4, 8, [4, 8]), (0.001, 32, [4, 32])])
def test_no_more_records_are_encoded_than_a_pass_allows(monkeypatch, folder, records, encoded, seconds, count, calls):
    monkeypatch.setattr(donors, "pass_seconds", lambda head, tokens: seconds)
    model = load_foreign(folder, LABELS, lambda: records)
    assert model.background.size == count
    assert encoded == calls


def test_records_that_cannot_be_read_are_passed_over(monkeypatch, folder, records, encoded):
    monkeypatch.setattr(donors, "pass_seconds", lambda head, tokens: 9.0)
    some = [*(replace(r, id=f"cut {r.id}", image=CUT) for r in records[:12]), *records[12:16]]
    model = load_foreign(folder, LABELS, lambda: some)
    whole = load_foreign(folder, LABELS, lambda: records[12:16])
    for m in ("text", "image"):
        own, others = (
            sorted(row.sum().item() for row in loaded.background.tokens[m].values) for loaded in (model, whole)
        )
        assert own == pytest.approx(others)
    assert max(encoded) <= 16


def test_where_none_can_be_read_it_is_said_so(folder, records):
    cut = [replace(r, image=CUT) for r in records[:5]]
    with pytest.raises(CallError, match="no record of the set has text or image that can be read"):
        _ = load_foreign(folder, LABELS, lambda: cut).background
