"""Labels as continuations: room for the longest, blanks where a sentence has them, and what is refused."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from fusion_core.asked import Asked
from fusion_core.attend.heads import tried_heads
from fusion_core.attention import capture
from fusion_core.doctor import capabilities
from fusion_core.encoders import EncoderSource
from fusion_core.errors import CallError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.matching import MOST_LABELS, Readings, room_for
from fusion_core.types import Record
from tests.fusion_core.foreign.conftest import LABELS, MATCH

families = pytest.mark.parametrize("name", ["flava", "bridgetower"])


def byte_level():
    """A byte-level tokenizer of single bytes, framed as RoBERTa's: a blank is a piece, and it matters where it is."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: n for n, c in enumerate(("<s>", "<pad>", "</s>", *alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def readings(labels, limit=20):
    tokenizer = byte_level()
    embedding = torch.nn.Embedding(tokenizer.get_vocab_size(), 1)
    embedding.weight.data = torch.arange(tokenizer.get_vocab_size()).float()[:, None]  # a piece is its number
    source = EncoderSource("directory", "x", "", "")
    pieces = room_for(source, tokenizer, embedding.requires_grad_(False), limit, 1, labels)
    return pieces, Readings(pieces, labels)


def test_a_label_begins_with_a_blank_behind_text_and_without_one_alone():
    pieces, read = readings(["red", "blue"])
    inputs, _ = pieces.prepare(["sky", None])
    written = read.written(pieces.encode(inputs))
    said = [
        pieces.tokenizer.decode(row[there].flatten().long().tolist(), skip_special_tokens=False)
        for row, there in zip(written.values, written.taken, strict=True)
    ]
    assert said == ["<s>sky red</s>", "<s>sky blue</s>", "<s>red</s>", "<s>blue</s>"]
    for there, places in zip(written.taken, written.places, strict=True):
        assert places[there].tolist() == list(range(int(there.sum())))  # holes are closed
    assert sum(length for _, length in written.axis) == written.values.shape[1]


def test_text_is_cut_so_that_the_longest_label_fits():
    pieces, read = readings(["red", "blue"])
    assert pieces.limit == 20 - 2 - len(" blue")
    inputs, (notes,) = pieces.prepare(["x" * 50])
    written = read.written(pieces.encode(inputs))
    assert int(written.places.max()) == 19
    assert notes == ("text cut to its first 13 of 50 characters (13 pieces)",)


def test_a_plain_reading_has_no_label():
    pieces, read = readings(["red", "blue"])
    inputs, _ = pieces.prepare(["a", None])
    written = read.plain(pieces.encode(inputs))
    assert written.taken.sum(dim=1).tolist() == [3, 0]


@families
def test_more_labels_than_are_read_one_that_is_too_long_and_one_without_pieces_are_refused(folders, name):
    def refused(labels, said):
        with pytest.raises(CallError, match=said):
            load_foreign(folders(name, "labels"), Asked(labels=labels))

    refused(tuple(f"label {n}" for n in range(MOST_LABELS + 1)), "33 labels.*at most 32")
    refused(("red", "cat " * 30), "the longest label takes 30 word pieces; the model reads 24")
    refused(("red", "\n"), "has no word pieces")


@families
def test_text_that_is_too_long_is_cut_and_noted_and_empty_text_is_a_piece_of_padding(opened, records, name):
    model, record = opened(name), records(name)[0]
    long, empty = (Record("x", text=text, image=record.image) for text in ("cat " * 40, " "))
    inputs = model.prepare([long, empty])
    assert any("text cut to its first" in note for note in inputs.notes[0])
    tokens = model.encode(inputs)
    assert tokens["text"].mask.sum(dim=1).tolist() == [24 - 2 - 5, 1]  # `a photo of the cat` has 5 pieces
    with torch.no_grad():
        assert torch.isfinite(model.fuse(tokens, name)).all()
    assert LABELS.labels[-1] == "a photo of the cat"


@families
def test_heads_are_tried_one_by_one_though_there_are_more_than_rows_go_through_together(opened, records, name):
    model = opened(name)
    _, tokens = model.encode_record(records(name)[0])
    heads, _ = tried_heads(model, tokens, name, 1)
    assert len(heads) == {"flava": 3 * 2 * 3 + 2 * 2, "bridgetower": 3 * 6 + 3 * 1 + 2 * 4 * 6}[name]
    assert max(head.ablated for head in heads) > 0


@families
def test_rows_go_through_in_parts_of_as_many_readings_as_fit(opened, records, name, monkeypatch):
    model = opened(name)
    tokens = model.encode(model.prepare(records(name)))
    seen = []
    own = model.head(name)._some
    monkeypatch.setattr(model.head(name), "_some", lambda given: seen.append(len(given["text"].mask)) or own(given))
    with torch.no_grad():
        apart = model.fuse(tokens, name)
        with capture():
            together = model.fuse(tokens, name)
    assert seen == [5, 5, 2, 12]
    assert torch.allclose(apart, together, atol=2e-5)


@families
@pytest.mark.parametrize("asked", [LABELS, MATCH], ids=["labels", "match"])
def test_a_ledger_sends_each_record_through_a_tower_once(opened, records, name, asked, monkeypatch):
    model = opened(name, asked)
    with torch.no_grad():
        pool = model.encode(model.prepare(records(name)[:4]))
    head, rows = model.head(name), {m: torch.tensor([0, 1, 2, 3, 0, 1, -1, 2, -1]) for m in ("text", "image")}
    rows["image"] = rows["image"].flip(0)
    one_by_one = [model.fuse({m: pool[m].rows(rows[m][n : n + 1]) for m in rows}, name) for n in range(9)]
    seen, run = [], head.seen
    monkeypatch.setattr(head, "seen", lambda image: seen.append(len(image.mask)) or run(image))
    with torch.no_grad():
        found = model.fuse_rows(pool, rows, name)
    assert sum(seen) == 5  # four records, and one without a picture
    assert torch.allclose(found, torch.cat(one_by_one), atol=2e-5)


@families
def test_doctor_says_that_labels_have_no_answer_without_an_image(opened, name):
    for asked, supported in ((LABELS, False), (MATCH, None)):
        lines = [line for line in capabilities(opened(name, asked)) if line["name"] == f"answer without image: {name}"]
        assert [line["supported"] for line in lines] == ([] if supported is None else [supported])
