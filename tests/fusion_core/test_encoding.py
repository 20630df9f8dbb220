"""Whole sets as tokens: the same whatever stands beside a record, each failure its own, cached ones not encoded."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fusion_core.encoders import DEFAULT_SOURCES
from fusion_core.encoders.stack import EncoderStack
from fusion_core.reading.media import media_from_bytes
from fusion_core.reading.records import read
from fusion_core.tokens import encode_records
from fusion_core.types import MODALITIES, Record
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def stack():
    return EncoderStack(DEFAULT_SOURCES)


@pytest.fixture(scope="module")
def records():
    """Ten records, two of them of one text, and two clips of exactly one length."""
    found = list(read(SAMPLES / "feedback" / "test").records[:10])
    found[3] = replace(found[3], text=found[2].text)
    return found


def alone(stack, record):
    return stack.encode(stack.prepare([record]))


def test_tokens_do_not_depend_on_what_is_encoded_beside_them(stack, records):
    tokens, refused = encode_records(stack, records)
    assert not refused
    for row, record in enumerate(records):
        batch = tokens.batch(torch.tensor([row]))
        with torch.no_grad():
            one = alone(stack, record)
        for m in MODALITIES:
            assert torch.equal(batch[m].mask, one[m].mask)
            exact = one[m].values.half().float()
            assert torch.allclose(batch[m].values, exact, atol=2e-3, rtol=2e-3)


def test_clips_of_one_length_are_encoded_together_with_the_same_result(stack, records):
    encoder = stack.encoders["audio"]
    parts = [stack.prepare([replace(r, text=None, image=None)]).modalities["audio"] for r in records[:3]]
    length = min(p.values.shape[2] for p in parts)
    cut = [replace(p, values=p.values[..., :length], mask=p.mask[:, :length]) for p in parts]
    both = replace(cut[0], values=torch.cat([c.values for c in cut]), mask=torch.cat([c.mask for c in cut]))
    with torch.no_grad():
        together = encoder.encode(both).values
        single = torch.cat([encoder.encode(c).values for c in cut])
    assert torch.allclose(together, single, atol=1e-4)


def test_a_text_that_two_records_share_is_encoded_once(stack, records):
    tokens, _ = encode_records(stack, records)
    assert tokens.index["text"][2] == tokens.index["text"][3]
    assert len(tokens.pools["text"].values) == 9


def test_one_unreadable_record_takes_no_other_with_it(stack, records):
    broken = media_from_bytes(b"\x89PNG\r\n\x1a\n but no more", "broken.png")
    gone = replace(records[5].audio, path=records[5].audio.path.with_name("gone.ogg"), sha256="0" * 64)
    rows = [
        *records[:4],
        replace(records[4], image=broken),
        replace(records[5], audio=gone),
        Record("bare"),
        records[6],
    ]
    tokens, refused = encode_records(stack, rows)
    assert tokens.ids == tuple(r.id for r in (*records[:4], records[6]))
    assert [(r.id, r.code) for r in refused] == [
        (records[4].id, "image_damaged"),
        (records[5].id, "file_missing"),
        ("bare", "record_empty"),
    ]


def test_a_file_that_went_is_read_where_another_record_has_it(stack, records):
    elsewhere = replace(records[0].image, path=records[0].image.path.with_name("gone.webp"))
    tokens, refused = encode_records(stack, [replace(records[0], id="first", image=elsewhere), records[0]])
    assert not refused
    assert tokens.index["image"].tolist() == [0, 0]


def test_a_second_time_nothing_is_decoded_or_encoded(stack, records, tmp_path, monkeypatch):
    first, _ = encode_records(stack, records, cache=tmp_path)

    def refuse(*_):
        raise AssertionError("encoded again")

    for encoder in stack.encoders.values():
        monkeypatch.setattr(encoder, "prepare", refuse)
    seen = []
    second, _ = encode_records(stack, records, lambda *step: seen.append(step), tmp_path)
    assert seen[-1] == ("encode", 10, 10)
    for m in MODALITIES:
        assert torch.equal(first.pools[m].values, second.pools[m].values)
        assert torch.equal(first.pools[m].raw, second.pools[m].raw)
        assert torch.equal(first.index[m], second.index[m])


def test_a_damaged_entry_of_the_cache_is_encoded_anew(stack, records, tmp_path):
    first, _ = encode_records(stack, records[:2], cache=tmp_path)
    for path in tmp_path.glob("image-*/*/*"):
        path.write_bytes(path.read_bytes()[:-3])
    second, refused = encode_records(stack, records[:2], cache=tmp_path)
    assert not refused
    assert torch.allclose(first.pools["image"].values, second.pools["image"].values, atol=1e-3)
