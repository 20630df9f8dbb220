"""Reading record sets: rows in = records + refusals, the same from every format."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.errors import CODES, CallError
from fusion_core.reading import cells, columnar, media, metadata
from fusion_core.reading.records import RecordSet, read, read_bytes
from fusion_core.types import Media, Record

FILES = {"images/a.png": b"\x89PNG one", "images/b.png": b"\x89PNG two", "sounds/a.wav": b"RIFF one"}
ROWS = [
    {"id": "one", "text": "a dog", "image_file_name": "images/a.png", "audio_file_name": "sounds/a.wav", "label": "dog",
     "timestamp": "2024-03-01T10:00:00", "shop": "north", "price": 2.5, "count": 3, "sale": True, "code": "007"},
    {"id": "two", "text": "déjà, \"vu\"\nline 👩‍🚀", "image_file_name": "images/b.png", "audio_file_name": None,
     "label": "cat", "timestamp": "2024-03-01T12:00:00+02:00", "shop": "south", "price": 1e20, "count": -4,
     "sale": False, "code": "010"},
    {"id": None, "text": None, "image_file_name": "images/a.png", "audio_file_name": None, "label": None,
     "timestamp": None, "shop": None, "price": None, "count": 5, "sale": None, "code": None},
]  # fmt: skip


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows: list[dict], schema: pa.Schema | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out, **options)
    return out.getvalue()


TABLES = {"metadata.jsonl": jsonl(ROWS), "metadata.csv": as_csv(ROWS), "metadata.parquet": parquet(ROWS)}


def folder_of(path, files: dict[str, bytes]):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def zip_of(files: dict[str, bytes], top: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(top + name, data)
    return out.getvalue()


def content(found: RecordSet) -> list[tuple]:
    """What a record is, without where its files lie."""
    return [
        (r.id, r.text, _file(r.image), _file(r.audio), r.label, r.timestamp, dict(r.meta), r.flags)
        for r in found.records
    ]


def _file(found: Media | None) -> tuple[str, bytes] | None:
    return (found.sha256, media.read_media(found)) if found else None


def refusal_codes(data: bytes, name: str = "metadata.jsonl") -> list[str]:
    return [refusal.code for refusal in read_bytes(data, name).refusals]


def outcome(data: bytes, name: str) -> set[str]:
    try:
        return {"read" if isinstance(row, Record) else row.code for row in read_bytes(data, name).rows}
    except CallError as error:
        return {error.code}


def call_code(call, *arguments: object) -> str:
    with pytest.raises(CallError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value.code


@pytest.fixture
def plain(tmp_path) -> RecordSet:
    return read(folder_of(tmp_path / "plain", {**FILES, "metadata.jsonl": TABLES["metadata.jsonl"]}))


def test_a_row_becomes_a_record_field_by_field(plain):
    one, two, three = plain.rows
    assert (one.id, two.id, three.id) == ("one", "two", "row:3")
    assert one.present() == ("text", "image", "audio")
    assert two.present() == ("text", "image")
    assert three.text is None
    assert two.text == ROWS[1]["text"]
    assert one.image.name == "images/a.png"
    assert one.image.data is None
    assert one.image == three.image
    assert two.timestamp == one.timestamp == datetime(2024, 3, 1, 10)
    assert one.meta == {"shop": "north", "price": 2.5, "count": 3.0, "sale": "true", "code": "007"}
    assert three.meta == {"count": 5.0}
    assert three.label is None
    assert {row.flags for row in plain.rows} == {()}


@pytest.mark.parametrize("table", TABLES)
def test_every_format_gives_the_same_records_from_folder_file_and_zip(table, plain, tmp_path):
    files = {**FILES, table: TABLES[table]}
    folder = folder_of(tmp_path / "other", files)
    (tmp_path / "set.zip").write_bytes(zip_of(files, "top/"))
    found = [
        read(folder),
        read(folder / table),
        read(tmp_path / "set.zip"),
        read_bytes(zip_of(files), "set.zip"),
        read_bytes(zip_of({**files, "__MACOSX/x/._metadata.csv": b"junk"}), "SET.ZIP"),
    ]
    assert [content(each) for each in found] == [content(plain)] * len(found)
    assert not any(each.refusals for each in found)


def test_reading_twice_gives_the_same_rows(tmp_path):
    folder = folder_of(tmp_path, {**FILES, "metadata.csv": TABLES["metadata.csv"]})
    assert read(folder) == read(str(folder))


def test_hugging_face_structs_give_the_same_records(plain):
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("text", pa.string()), ("image", struct), ("audio", struct), ("id", pa.string()), ("label", pa.string())]
    )
    rows = []
    for row in ROWS:
        image, audio = row["image_file_name"], row["audio_file_name"]
        rows.append(
            {"text": row["text"], "id": row["id"], "label": row["label"],
             "image": image and {"bytes": FILES[image], "path": f"C:\\secret\\{image}"},
             "audio": {"bytes": FILES[audio], "path": None} if audio else {"bytes": None, "path": None}}
        )  # fmt: skip
    found = read_bytes(parquet(rows, schema), "data.parquet")
    assert [row[:5] for row in content(found)] == [row[:5] for row in content(plain)]
    assert found.records[0].image.name in ("a.png", "images_a.png")
    assert found.records[0].audio.name == "audio of row 1"


def test_structs_without_bytes_are_looked_up_beside_the_table(tmp_path):
    rows = [
        {"image": {"bytes": None, "path": name}} for name in ("images/a.png", "../x.png", "https://a/b", "/etc/passwd")
    ]
    folder_of(tmp_path, {**FILES, "data.parquet": parquet(rows)})
    found = read(tmp_path / "data.parquet")
    assert media.read_media(found.rows[0].image) == FILES["images/a.png"]
    assert [row.code for row in found.rows[1:]] == ["path_refused", "remote_media_refused", "path_refused"]


def test_embedded_media_beyond_the_memory_limit_go_to_disk(monkeypatch):
    monkeypatch.setattr(media, "MEMORY_BYTES", 10)
    found = read_bytes(parquet([{"image": b"%08d" % n} for n in range(5)]), "a.parquet")
    assert [media.read_media(record.image) for record in found.records] == [b"%08d" % n for n in range(5)]
    assert [record.image.path is None for record in found.records] == [True, False, False, False, False]


def test_class_labels_of_hugging_face_become_their_names():
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    schema = pa.schema([("text", pa.string()), ("label", pa.int64())], {"huggingface": json.dumps(features)})
    found = read_bytes(parquet([{"text": "a", "label": n} for n in (1, 0, None, 9)], schema), "a.parquet")
    assert [record.label for record in found.records] == ["dog", "cat", None, "9"]


def test_file_name_is_sorted_by_its_suffix(tmp_path):
    rows = [{"file_name": name} for name in ("images/a.png", "sounds/a.wav", "notes.txt")]
    found = read(folder_of(tmp_path, {**FILES, "metadata.jsonl": jsonl(rows)}))
    assert [getattr(row, "code", None) or row.present() for row in found.rows] == [
        ("image",),
        ("audio",),
        "metadata_damaged",
    ]


def test_two_columns_may_agree_on_a_file_but_not_differ(tmp_path):
    rows = [{"image": "images/a.png", "file_name": name} for name in ("images/a.png", "images/b.png", "sounds/a.wav")]
    found = read(folder_of(tmp_path, {**FILES, "metadata.jsonl": jsonl(rows)}))
    assert [getattr(row, "code", None) or row.present() for row in found.rows] == [
        ("image",),
        "metadata_damaged",
        ("image", "audio"),
    ]


def test_several_pictures_of_one_record_are_refused_and_a_count_of_them_is_a_slice(tmp_path):
    several = ["images/a.png", "images/b.png"]
    rows = [{"text": "x", name: several} for name in ("image", "images", "images_file_names")]
    found = read(folder_of(tmp_path, {**FILES, "metadata.jsonl": jsonl([*rows, {"text": "x", "images": 2}])}))
    assert [getattr(row, "code", "ok") for row in found.rows] == ["metadata_damaged"] * 3 + ["ok"]
    assert all("a record has one image and one audio" in row.message for row in found.refusals)
    assert found.records[0].meta == {"images": 2}


def test_a_broken_line_is_a_refusal_that_names_its_line():
    data = b'{"text": "a"}\n\n{"text": \n{"text": "b"}\n'
    found = read_bytes(data, "metadata.jsonl")
    assert [row.id for row in found.rows] == ["row:1", "row:2", "row:3"]
    assert found.rows[1].code == "metadata_damaged"
    assert "line 3 of 'metadata.jsonl'" in found.rows[1].message
    assert found.rows[2].text == "b"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b'{"text": "a", "x": NaN}', "NaN"),
        (b'{"text": "a", "x": -Infinity}', "Infinity"),
        (b'{"text": "a", "x": 1e999}', "beyond"),
        (b'{"text": "a", "text": "b"}', "twice"),
        (b'{"text": "a", "x": {"y": 1, "y": 2}}', "twice"),
        (b'{"text": "a", "x": ' + b"[" * 21 + b"]" * 21 + b"}", "20 levels"),
        (b'{"text": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "20 levels"),
        (b'{"text": "a", "x": ' + b"9" * 5_000 + b"}", "too long"),
        (b'["text"]', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "a"} {"text": "b"}', "not valid JSON"),
        (b'{"' + b"k" * 201 + b'": 1}', "column name"),
    ],
)
def test_json_is_read_strictly(line, word):
    (row,) = read_bytes(line, "metadata.jsonl").rows
    assert row.code == "metadata_damaged"
    assert word in row.message


def test_nineteen_nested_lists_are_still_read_and_kept_as_json():
    found = read_bytes(b'{"text": "a", "x": ' + b"[" * 19 + b"]" * 19 + b"}", "a.jsonl")
    assert found.records[0].meta == {"x": "[" * 19 + "]" * 19}


def test_rows_without_content_and_unknown_files_are_refused_with_their_codes(tmp_path):
    rows = [
        ({"label": "x"}, "record_empty"),
        ({"text": ""}, "record_empty"),
        ({"text": None, "image_file_name": ""}, "record_empty"),
        ({"image_file_name": "images/none.png"}, "file_missing"),
        ({"image_file_name": "images"}, "path_refused"),
        ({"image_file_name": "../images/a.png"}, "path_refused"),
        ({"audio_file_name": "https://a/b.wav"}, "remote_media_refused"),
        ({"image": "data:image/png;base64,AAAA"}, "remote_media_refused"),
        ({"image": {"bytes": "AAAA", "path": "a.png"}}, "metadata_damaged"),
        ({"image": ["a.png"]}, "metadata_damaged"),
        ({"image": 5}, "metadata_damaged"),
        ({"text": {"a": 1}}, "metadata_damaged"),
        ({"text": "x" * 1_000_001}, "text_too_long"),
        ({"text": "a", "id": "x" * 513}, "metadata_damaged"),
        ({"text": "a", "id": ["x"]}, "metadata_damaged"),
    ]
    found = read(folder_of(tmp_path, {**FILES, "metadata.jsonl": jsonl([row for row, _ in rows])}))
    assert [row.code for row in found.rows] == [code for _, code in rows]
    assert [row.id for row in found.rows] == [f"row:{n}" for n in range(1, len(rows) + 1)]
    assert not any(str(tmp_path) in row.message for row in found.rows)


def test_a_file_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "MAX_FILE_BYTES", 7)
    found = read(folder_of(tmp_path, {**FILES, "metadata.jsonl": jsonl([{"image": "images/a.png"}])}))
    assert found.rows[0].code == "file_too_large"


def test_a_link_in_the_set_is_refused(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = folder_of(tmp_path / "set", {"metadata.jsonl": jsonl([{"image": "a.png"}, {"image": "out/secret.png"}])})
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    (folder / "out").symlink_to(tmp_path)
    assert [row.code for row in read(folder).rows] == ["path_refused", "path_refused"]


def test_a_metadata_file_that_is_a_link_is_not_followed(tmp_path):
    folder = folder_of(tmp_path / "set", FILES)
    (tmp_path / "other.jsonl").write_bytes(jsonl([{"text": "a"}]))
    (folder / "metadata.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert call_code(read, folder) == "path_refused"
    (tmp_path / "named.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert len(read(tmp_path / "named.jsonl").records) == 1  # the operator named this one


def test_a_second_row_with_an_id_is_refused_and_keeps_the_id():
    found = read_bytes(jsonl([{"id": i, "text": "a"} for i in ("a", 7, "7", "a", "row:6", None)]), "a.jsonl")
    assert [(row.id, getattr(row, "code", "")) for row in found.rows] == [
        ("a", ""), ("7", ""), ("7", "duplicate_id"), ("a", "duplicate_id"), ("row:6", ""), ("row:6", "duplicate_id"),
    ]  # fmt: skip


def test_empty_text_beside_an_image_is_flagged_as_absent(tmp_path):
    rows = [{"text": "", "image": "images/a.png"}, {"text": None, "image": "images/a.png"}, {"text": " "}]
    found = read(folder_of(tmp_path, {**FILES, "metadata.jsonl": jsonl(rows)}))
    assert [(record.text, record.flags) for record in found.records] == [(None, ("empty text",)), (None, ()), (" ", ())]


def test_hostile_text_is_kept_and_surrogates_are_flagged():
    data = b'{"text": "a\\ud800b", "x\\udfff": "\\udfff", "id": "i\\ud800"}\n{"text": "\\u202e\\u0000\\ud83d\\ude00"}'
    first, second = read_bytes(data, "a.jsonl").records
    assert (first.text, first.flags, first.id) == ("a\ufffdb", ("unpaired surrogates replaced",), "i\ufffd")
    assert first.meta == {"x\ufffd": "\ufffd"}
    assert (second.text, second.flags) == ("\u202e\0😀", ())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31)),
        ("20240131", datetime(2024, 1, 31)),
        (20240131, datetime(2024, 1, 31)),
        ("2024-01-31 10:00:00.5", datetime(2024, 1, 31, 10, 0, 0, 500_000)),
        ("2024-01-31T10:00:00Z", datetime(2024, 1, 31, 10)),
        ("2024-01-31T00:30:00+05:30", datetime(2024, 1, 30, 19)),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20)),
        (1_700_000_000_250, datetime(2023, 11, 14, 22, 13, 20, 250_000)),
        (datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2024, 1, 1)),
    ],
)
def test_times_become_naive_utc(value, expected):
    assert cells.moment(value) == expected


@pytest.mark.parametrize(
    "value", ["31/12/2024", "yesterday", True, [1], 5, "0001-01-01T00:00:00+05:00", "9999-12-31", 1e300]
)
def test_an_unreadable_time_is_flagged_not_refused(value):
    (record,) = read_bytes(jsonl([{"text": "a", "timestamp": value}]), "a.jsonl").records
    assert record.timestamp is None
    assert record.flags == ("unreadable timestamp",)
    assert record.meta["timestamp"] == str(value)


def test_parquet_times_of_every_unit_are_read():
    moment = datetime(2024, 1, 31, 10, 0, 0, 123_000)
    for kind in (pa.timestamp("ns"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Paris"), pa.timestamp("s")):
        array = pa.array([moment.replace(tzinfo=UTC) if kind.tz else moment]).cast(kind, safe=False)
        out = io.BytesIO()
        pq.write_table(pa.table({"text": ["a"], "timestamp": array}), out)
        (record,) = read_bytes(out.getvalue(), "a.parquet").records
        assert record.timestamp == (moment.replace(microsecond=0) if kind.unit == "s" else moment)


def test_slices_are_words_or_numbers_whatever_parquet_holds():
    frame = pd.DataFrame(
        {
            "text": ["a"], "big": [2**60], "inf": [np.inf], "nan": [np.nan], "day": [pd.Timestamp("2024-01-02").date()],
            "raw": [b"1234"], "list": [[1, 2]], "category": pd.Categorical(["x"]),
            "gap": pd.array([None], dtype="Int64"), "long": ["x" * 10_001],
        }
    )  # fmt: skip
    out = io.BytesIO()
    frame.to_parquet(out)
    (record,) = read_bytes(out.getvalue(), "a.parquet").records
    assert record.meta == {
        "big": str(2**60), "inf": "inf", "day": "2024-01-02", "raw": "4 bytes", "list": "[1, 2]", "category": "x",
        "long": "x" * 10_000,
    }  # fmt: skip
    assert record.flags == ("column 'long' cut to 10,000 characters",)


def test_a_csv_column_is_numbers_only_if_every_cell_is_one():
    data = b"text,n,code,mixed,big,half\na,1,007,1,9007199254740993,1e3\nb,-2.5,1,x,1,\n"
    first, second = read_bytes(data, "a.csv").records
    assert first.meta == {"n": 1.0, "code": "007", "mixed": "1", "big": "9007199254740993", "half": 1000.0}
    assert second.meta == {"n": -2.5, "code": "1", "mixed": "x", "big": "1"}


def test_csv_rows_of_the_wrong_length_or_quoting_are_refused_one_by_one():
    data = b'text,label\na,1\nb\n\nc,2,3\n"d"x,4\n"e\nf",5\n"g,6\n'
    found = read_bytes(data, "a.csv")
    assert [getattr(row, "code", None) or row.text for row in found.rows] == [
        "a", "metadata_damaged", "metadata_damaged", "metadata_damaged", "e\nf", "metadata_damaged",
    ]  # fmt: skip
    assert "line 3 of 'a.csv': has 1 cell(s); the header has 2" in found.rows[1].message
    assert "line 5" in found.rows[2].message


def test_csv_of_odd_encoding_is_read_and_flagged():
    assert read_bytes(b"\xef\xbb\xbftext\nhi\n", "a.csv").records[0].text == "hi"
    first, second = read_bytes(b"text\ncaf\xe9\nplain\n", "a.csv").records
    assert (first.text, first.flags) == ("caf\ufffd", ("undecodable bytes replaced",))
    assert second.flags == ()
    assert call_code(read_bytes, "text\nhi\n".encode("utf-16"), "a.csv") == "metadata_damaged"


def test_a_csv_cell_over_the_limit_is_refused_and_the_next_row_read():
    data = b"text\n" + b"x" * (metadata.MAX_CELL_CHARACTERS + 1) + b"\nshort\n" + b"y" * 1_000_000 + b"\n"
    found = read_bytes(data, "a.csv")
    assert [getattr(row, "code", "ok") for row in found.rows] == ["metadata_damaged", "ok", "ok"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.csv"),
        (b"a;b\n1;2\n", "a.csv"),
        (b"text,text\n1,2\n", "a.csv"),
        (b"words", "a.parquet"),
        (b"", "a.parquet"),
        (parquet(ROWS)[:-20], "a.parquet"),
        (parquet(ROWS), "a.csv"),
        (parquet([{"other": 1}]), "a.parquet"),
        (b"\x80\x04\x95\0\0", "a.jsonl"),
        (zip_of({"a": b""}), "a.jsonl"),
        (b"," * 2_000, "a.csv"),
    ],
)
def test_a_table_that_cannot_be_read_at_all_is_one_clear_error(data, name):
    assert call_code(read_bytes, data, name) == "metadata_damaged"


def test_limits_on_rows_bytes_and_content_are_clear_errors(monkeypatch):
    rows = jsonl([{"text": "abc"}] * 4)
    monkeypatch.setattr(metadata, "MAX_ROWS", 3)
    monkeypatch.setattr(columnar, "MAX_ROWS", 3)
    assert call_code(read_bytes, rows, "a.jsonl") == "call_refused"
    assert call_code(read_bytes, b"text\n" + b"abc\n" * 4, "a.csv") == "call_refused"
    assert call_code(read_bytes, parquet([{"text": "abc"}] * 4), "a.parquet") == "call_refused"
    assert len(read_bytes(b"text\n" + b"abc\n" * 3, "a.csv")) == 3
    monkeypatch.setattr(columnar, "MAX_CONTENT_BYTES", 3)
    assert call_code(read_bytes, parquet([{"text": "abc"}] * 3), "a.parquet") == "file_too_large"
    monkeypatch.setattr(metadata, "MAX_TABLE_BYTES", 3)
    assert call_code(read_bytes, rows, "a.jsonl") == "file_too_large"


def test_a_dictionary_bomb_in_parquet_is_refused_at_the_limit(monkeypatch):
    monkeypatch.setattr(columnar, "MAX_CONTENT_BYTES", 5_000_000)
    bomb = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), pa.array(["x" * 100_000]))
    out = io.BytesIO()
    pq.write_table(pa.table({"text": bomb}), out)
    assert len(out.getvalue()) < 50_000
    assert call_code(read_bytes, out.getvalue(), "a.parquet") == "file_too_large"
    nested = pa.ListArray.from_arrays(pa.array([0, 5_000], pa.int32()), bomb)
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"], "more": nested}), out)
    assert call_code(read_bytes, out.getvalue(), "a.parquet") == "metadata_damaged"


def test_a_parquet_cell_that_is_no_utf8_spoils_its_own_row_only():
    text = pa.array([b"good", b"\xff\xfe", b"fine"]).view(pa.string())
    out = io.BytesIO()
    pq.write_table(pa.table({"text": text}), out)
    found = read_bytes(out.getvalue(), "a.parquet")
    assert [getattr(row, "code", "ok") for row in found.rows] == ["ok", "metadata_damaged", "ok"]


def test_an_uploaded_table_without_its_files_refuses_the_rows_that_name_some():
    rows = [{"text": "a"}, {"text": "b", "image": "a.png"}, {"image": "../a"}, {"image": "http://a"}]
    assert refusal_codes(jsonl(rows)) == ["file_missing", "path_refused", "remote_media_refused"]


def test_what_is_not_there_or_no_record_set_is_one_clear_error(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "split" / "train").mkdir(parents=True)
    (tmp_path / "split" / "train" / "metadata.csv").write_text("text\na\n")
    assert call_code(read, tmp_path / "none") == "file_missing"
    assert call_code(read, tmp_path / "a.txt") == "call_refused"
    assert call_code(read_bytes, b"", "a.pkl") == "call_refused"
    with pytest.raises(CallError, match="its folders 'train' do") as caught:
        read(tmp_path / "split")
    assert str(tmp_path) not in str(caught.value)


def test_two_tables_in_one_set_are_ambiguous(tmp_path):
    files = {"metadata.csv": b"text\na\n", "metadata.jsonl": b'{"text": "a"}'}
    assert call_code(read, folder_of(tmp_path, files)) == "call_refused"
    assert call_code(read_bytes, zip_of(files), "a.zip") == "call_refused"
    assert call_code(read_bytes, zip_of({"a/metadata.csv": b"", "b/metadata.csv": b""}), "a.zip") == "call_refused"
    assert call_code(read_bytes, zip_of({"a/b/metadata.csv": b"text\na"}), "a.zip") == "file_missing"
    assert len(read_bytes(zip_of({"metadata.csv": b"text\na", "b/metadata.csv": b""}), "a.zip")) == 1


def test_a_zip_cannot_name_files_above_its_metadata():
    files = {"top/metadata.jsonl": jsonl([{"image": "../secret.png"}, {"image": "secret.png"}]), "secret.png": b"x"}
    assert refusal_codes(zip_of(files), "a.zip") == ["path_refused", "file_missing"]


def test_an_odd_zip_is_refused_whole():
    assert call_code(read_bytes, zip_of({"metadata.csv": b"text\na\n", "../a": b"x"}), "a.zip") == "archive_refused"


def test_find_returns_the_record_or_says_what_is_near(plain):
    assert plain.find("two") is plain.rows[1]
    with pytest.raises(CallError, match="near it: 'two'"):
        plain.find("tow")
    broken = read_bytes(b'{"id": "x"}', "a.jsonl")
    with pytest.raises(CallError, match="could not be read") as caught:
        broken.find("x")
    assert caught.value.code == "record_empty"


def test_rows_in_are_records_plus_refusals_for_300_lines_of_fuzz():
    generator = np.random.default_rng(11)
    values = [
        "a",
        "",
        None,
        5,
        -1.5,
        True,
        [1],
        {"path": "x"},
        "../x",
        "http://x",
        "\u202e",
        "x" * 300,
        1e308,
        "2024-01-01",
    ]
    columns = [
        "id",
        "text",
        "text",
        "text",
        "image",
        "audio_file_name",
        "file_name",
        "label",
        "timestamp",
        "slice",
        "é",
    ]
    lines = []
    for _ in range(300):
        picked = generator.choice(columns, generator.integers(1, 5))
        row = {str(column): values[generator.integers(len(values))] for column in picked}
        line = bytearray(json.dumps(row).encode())
        if generator.random() < 0.3:
            line[generator.integers(len(line))] = generator.choice([0, 34, 44, 58, 92, 123, 125, 200, 255])
        lines.append(bytes(line))
    found = read_bytes(b"\n".join(lines), "metadata.jsonl")
    assert len(found) == len(lines) == len(found.records) + len(found.refusals)
    assert all(row.code in CODES for row in found.refusals)
    assert len(found.records) > 30
    assert len({row.code for row in found.refusals}) >= 6
    assert found == read_bytes(b"\n".join(lines), "metadata.jsonl")
    ids = [record.id for record in found.records]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["metadata.parquet", "metadata.csv"])
def test_200_mutations_of_a_table_are_read_or_are_one_clear_error(name):
    good, generator, outcomes = TABLES[name], np.random.default_rng(5), set()
    for _ in range(200):
        data = bytearray(good)
        for place in generator.integers(0, len(data), 2):
            data[place] = generator.integers(0, 256)
        outcomes |= outcome(bytes(data), name)
    assert outcomes <= {"read", *CODES}
    assert "metadata_damaged" in outcomes
    assert outcomes & {"read", "file_missing"}  # some keep their rows


def test_damage_in_a_checksummed_page_is_seen():
    rows = [{"text": f"a plain sentence, number {n}"} for n in range(100)]
    data = bytearray(parquet(rows, write_page_checksum=True, compression="none", use_dictionary=False))
    assert len(read_bytes(bytes(data), "a.parquet").records) == 100
    data[data.index(b"number 50")] ^= 1
    assert call_code(read_bytes, bytes(data), "a.parquet") == "metadata_damaged"
