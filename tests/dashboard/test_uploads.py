"""What becomes of an upload: the good part opens, what is left out is named, and nobody else sees it."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from PIL import Image

from dashboard import uploads
from dashboard.uploads import KEPT_PER_BROWSER, Shelf, Upload, browser_of, one_record, readable_part, record_set
from dashboard.views.exports import refusals_csv, refusals_jsonl, safe_cell
from dashboard.views.summary import left_out_table, reasons, summary
from fusion_core.errors import CallError, RecordError
from fusion_core.reading.media import media_from_bytes
from fusion_core.reading.records import RecordSet
from fusion_core.types import Record, Refusal


@dataclass
class Reads:
    """Stands where a model would: an upload only asks what it reads."""

    modalities: tuple[str, ...] = ("text", "image", "audio")
    prepared: list[Record] = field(default_factory=list)

    def prepare(self, records: list[Record]) -> None:
        self.prepared += records


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def zipped(lines: list[str], files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.jsonl", "\n".join(lines))
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_broken_image_is_left_out_and_the_text_opens() -> None:
    upload = one_record(Reads(), "fine", ("broken.png", b"\x89PNG\r\n\x1a\n nothing"), None, "yes")
    (record,) = upload.records.records
    assert (record.text, record.image, record.label) == ("fine", None, "yes")
    assert record.flags == ("image could not be read",)
    assert [r.code for r in upload.left_out] == ["image_damaged"]
    assert "broken.png" in upload.left_out[0].message


def test_nothing_and_nothing_readable_are_refused() -> None:
    with pytest.raises(RecordError) as nothing:
        one_record(Reads(), "  ", None, None, None)
    assert nothing.value.code == "record_empty"
    with pytest.raises(RecordError) as broken:
        one_record(Reads(), "", ("a.png", b"words"), ("b.wav", b"words"), None)
    assert "a.png" in str(broken.value)
    assert "b.wav" in str(broken.value)


def test_a_set_with_damage_adds_up_and_says_what_is_wrong() -> None:
    lines = [
        json.dumps({"id": "whole", "text": "a", "image_file_name": "good.png"}),
        json.dumps({"id": "part", "text": "b", "image_file_name": "bad.png"}),
        json.dumps({"id": "gone", "image_file_name": "bad.png"}),
        json.dumps({"id": "out", "text": "c", "image_file_name": "../secret.png"}),
        '{"id": "cut',
    ]
    told: list[tuple[int, int]] = []
    upload = record_set(
        Reads.modalities,
        ("mine.zip", zipped(lines, {"good.png": png(), "bad.png": b"words"})),
        lambda done, of: told.append((done, of)),
        nullcontext,
    )
    assert [r.id for r in upload.records.records] == ["whole", "part"]
    assert upload.kept_in_part == {"part"}
    assert upload.refused == 3
    assert [r.id for r in upload.left_out] == ["part", "gone", "out", "row:5"]
    assert len(upload.records) == len(upload.records.records) + upload.refused == 5
    assert summary(5, upload.refused, len(upload.kept_in_part)) == (
        "5 rows: 1 read whole, 1 read without a file that is damaged, 3 refused."
    )
    assert told[0] == (0, 5)


def test_a_file_that_many_rows_name_is_decoded_once_and_others_get_their_turn(monkeypatch) -> None:
    decoded: list[str] = []
    monkeypatch.setitem(uploads.DECODERS, "image", lambda data, name: decoded.append(name))
    rows = 2 * uploads.CHECKED_AT_ONCE + 3
    lines = [json.dumps({"id": str(i), "text": "a", "image_file_name": "good.png"}) for i in range(rows)]
    told, turns = [], []

    def turn() -> nullcontext:
        turns.append(len(decoded))
        return nullcontext()

    found = record_set(
        Reads.modalities, ("mine.zip", zipped(lines, {"good.png": png()})), lambda d, o: told.append(d), turn
    )
    assert len(found.records.records) == rows
    assert decoded == ["good.png"]
    assert told == [0, 25, 50]
    assert len(turns) == 1 + 3  # unpacking, then every few rows


def test_a_row_with_nothing_the_model_reads_is_refused_and_counted() -> None:
    lines = [json.dumps({"id": "a", "text": "only words"}), json.dumps({"id": "b", "image_file_name": "good.png"})]
    found = record_set(
        ("image", "audio"), ("mine.zip", zipped(lines, {"good.png": png()})), lambda d, o: None, nullcontext
    )
    assert [r.id for r in found.records.records] == ["b"]
    assert [(r.id, r.code) for r in found.left_out] == [("a", "record_empty")]
    assert found.left_out[0].message == "the record has text; the model reads image, audio"
    assert len(found.records) == 2


def test_more_rows_than_the_picker_can_list_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(uploads, "MAX_ROWS", 2)
    with pytest.raises(CallError, match="has 3 rows; at most 2 are opened here"):
        record_set(Reads.modalities, ("mine.zip", zipped(['{"text": "a"}'] * 3, {})), lambda d, o: None, nullcontext)


def test_a_hostile_zip_is_refused_whole() -> None:
    hostile = ("in.zip", zipped(['{"text": "a"}'], {"../out.txt": b"x"}))
    with pytest.raises(CallError) as refused:
        record_set(Reads.modalities, hostile, lambda done, of: None, nullcontext)
    assert refused.value.code == "archive_refused"


def test_what_the_model_does_not_read_is_not_decoded() -> None:
    record = Record("a", text="a", image=media_from_bytes(b"words", "a.png"))
    assert readable_part(record, ("text",)) == (record, [])


def upload() -> Upload:
    return Upload("mine", RecordSet((Record("a", text="a"),)), (), frozenset())


def test_a_browser_sees_its_own_uploads_only() -> None:
    shelf = Shelf()
    mine = upload()
    key = shelf.keep("me", mine)
    assert shelf.find("me", key) is mine
    assert shelf.find("you", key) is None
    assert shelf.find("me", "other") is None


def test_the_oldest_uploads_of_a_browser_go_first() -> None:
    shelf = Shelf()
    other = shelf.keep("you", upload())
    keys = [shelf.keep("me", upload()) for _ in range(KEPT_PER_BROWSER + 2)]
    assert [shelf.find("me", key) is None for key in keys] == [True, True] + [False] * KEPT_PER_BROWSER
    assert shelf.find("you", other) is not None


def test_who_takes_most_room_makes_room() -> None:
    def of(size: int) -> Upload:
        record = Record("a", image=media_from_bytes(b"x" * size, "a.png"))
        return Upload("mine", RecordSet((record,)), (), frozenset())

    shelf = Shelf(most_bytes=100)
    small = shelf.keep("you", of(20))
    first, second = shelf.keep("me", of(40)), shelf.keep("me", of(39))
    third = shelf.keep("other", of(30))
    assert shelf.find("me", first) is None
    assert shelf.find("me", second) is not None
    assert shelf.find("you", small) is not None
    assert shelf.find("other", third) is not None
    huge = shelf.keep("me", of(500))
    assert shelf.find("me", huge) is not None


def test_a_browser_is_known_under_any_mask_of_its_cookie() -> None:
    token = bytes(range(16))

    def masked(mask: bytes) -> str:
        return f"2|{mask.hex()}|{bytes(b ^ mask[i % 4] for i, b in enumerate(token)).hex()}|1795571362"

    assert browser_of(masked(b"abcd")) == browser_of(masked(b"\x00\xff\x10\x20")) is not None
    token = bytes(range(1, 17))
    assert browser_of(masked(b"abcd")) != browser_of("2|61626364|6160666664646a6a686a6e6e6c6c6262|1")


@pytest.mark.parametrize("cookie", ["", "1|a|b|c", "2|zz|00|1", "2|61626364|00|1", "2|6162|" + "00" * 16 + "|1"])
def test_a_cookie_of_another_form_names_nobody(cookie: str) -> None:
    assert browser_of(cookie) is None


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", " =1"])
def test_a_cell_that_would_be_a_formula_is_made_text(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


def test_exports_are_safe_as_csv_and_exact_as_json() -> None:
    refused = [Refusal("=cmd()", "record_empty", "has, nothing"), Refusal("b", "image_damaged", 'a "name"')]
    assert refusals_csv(refused).splitlines() == [
        "id,code,message",
        '\'=cmd(),record_empty,"has, nothing"',
        'b,image_damaged,"a ""name"""',
    ]
    assert [json.loads(line)["id"] for line in refusals_jsonl(refused).splitlines()] == ["=cmd()", "b"]


def test_reasons_are_counted_and_hidden_characters_shown() -> None:
    refused = [Refusal("a\u202e", "image_damaged", "x"), Refusal("b", "image_damaged", "y")]
    assert reasons(refused) == ["2 × image_damaged: the image cannot be decoded"]
    assert left_out_table(refused)["record"][0] == "a⟨U+202E⟩"
