"""Zips from strangers: what is odd is refused whole, what is plain is read."""

import io
import stat
import struct
import zipfile
import zlib

import numpy as np
import pytest

from fusion_core.errors import CallError
from fusion_core.reading import archive, media
from fusion_core.reading.archive import unpack
from fusion_core.reading.media import MediaStore, read_media


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return out.getvalue()


def with_entry(name: str, data: bytes = b"x", attributes: int | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        info = zipfile.ZipInfo(name)
        info.filename = info.orig_filename = name
        if attributes is not None:
            info.create_system, info.external_attr = 3, attributes << 16
        file.writestr(info, data)
    return out.getvalue()


def files_of(data: bytes) -> dict[str, bytes]:
    store = MediaStore()
    return {name: read_media(found) for name, found in unpack(io.BytesIO(data), "a.zip", store).items()}


def refusal_of(data: bytes) -> str:
    with pytest.raises(CallError) as caught:
        files_of(data)
    assert caught.value.code == "archive_refused"
    assert str(caught.value).startswith("zip 'a.zip'")
    return str(caught.value)


def overlapping() -> bytes:
    """Two directory entries that share one compressed body, as in a quoted-overlap bomb."""
    body = zlib.compress(b"\0" * 1000, 9)[2:-4]

    def local(name: bytes) -> bytes:
        sizes = struct.pack("<III", zlib.crc32(b"\0" * 1000), len(body), 1000)
        return b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name

    def central(name: bytes, offset: int) -> bytes:
        sizes = struct.pack("<III", zlib.crc32(b"\0" * 1000), len(body), 1000)
        rest = struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, offset)
        return b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes + rest + name

    head = local(b"a") + body
    directory = central(b"a", 0) + central(b"b", 0)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(directory), len(head), 0)
    return head + directory + end


def test_plain_files_come_back_exact():
    entries = {"metadata.csv": b"text\nhi\n", "images/a.png": b"\x89PNG", "empty.txt": b"", "ünï.txt": b"1"}
    assert files_of(zipped(entries)) == entries
    assert files_of(zipped(entries, zipfile.ZIP_STORED)) == entries


def test_folders_are_passed_over():
    assert files_of(zipped({"a/": b"", "a/b.txt": b"1"})) == {"a/b.txt": b"1"}


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "C:/a",
        "C:a",
        "a\\b",
        "\\\\host\\a",
        "a\x01b",
        "a\u202eb",
        "http://a/b",
        "x" * 300,
    ],
)
def test_a_bad_name_refuses_the_zip(name):
    refusal_of(with_entry(name))


def test_a_name_cut_by_nul_refuses_the_zip():
    data = with_entry("a.png#evil").replace(b"a.png#evil", b"a.png\0evil")
    assert "control" in refusal_of(data)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_refuse_the_zip(kind):
    assert "link or a device" in refusal_of(with_entry("a", b"/etc/passwd", kind | 0o777))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("again", ["a.txt", "./a.txt"])
def test_a_name_twice_refuses_the_zip(again):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.txt", b"1")
        file.writestr(again, b"2")
    assert "twice" in refusal_of(out.getvalue())


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encryption_refuses_the_zip(flag):
    data = bytearray(with_entry("a"))
    place = data.index(b"PK\x01\x02") + 8
    data[place : place + 2] = struct.pack("<H", flag)
    refusal_of(bytes(data))


def test_entries_that_share_bytes_refuse_the_zip():
    assert "overlaps" in refusal_of(overlapping())


def test_an_entry_that_runs_into_the_directory_refuses_the_zip():
    data = bytearray(with_entry("a", b"x" * 100))
    place = data.index(b"PK\x01\x02") + 20
    data[place : place + 4] = struct.pack("<I", 101)
    assert "overlaps" in refusal_of(bytes(data))


@pytest.mark.parametrize("name", ["inner.zip", "photo.png"])
def test_a_zip_inside_the_zip_refuses_it_whatever_its_name(name):
    assert "zip inside" in refusal_of(zipped({name: zipped({"a": b"1"})}))


def test_a_ratio_bomb_refuses_the_zip():
    assert "200 times" in refusal_of(zipped({"a": b"\0" * 5_000_000}))


def test_small_files_may_shrink_as_they_like():
    assert files_of(zipped({"a": b"\0" * 900_000})) == {"a": b"\0" * 900_000}


def test_a_bomb_that_lies_about_its_size_refuses_the_zip():
    data = bytearray(zipped({"a": b"\0" * 5_000_000}))
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = data.index(mark) + place
        data[start : start + 4] = struct.pack("<I", 1_000)
    refusal_of(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_refuse_the_zip(method):
    assert "method" in refusal_of(zipped({"a": b"1" * 100}, method))


def test_limits_on_entries_and_bytes_refuse_the_zip(monkeypatch):
    data = zipped({str(n): b"12345" for n in range(4)})
    for limit, value, word in (("ENTRIES", 3, "4 entries"), ("ENTRY_BYTES", 4, "5 bytes"), ("TOTAL_BYTES", 19, "20")):
        with monkeypatch.context() as patch:
            patch.setattr(archive, f"MAX_{limit}", value)
            assert word in refusal_of(data)
    assert len(files_of(data)) == 4


def test_damage_to_the_content_refuses_the_zip():
    data = bytearray(zipped({"a": b"12345"}, zipfile.ZIP_STORED))
    data[data.index(b"12345")] ^= 1
    assert "damaged" in refusal_of(bytes(data))


@pytest.mark.parametrize("data", [b"", b"words", b"PK\x03\x04", b"\x80\x04pickle"])
def test_what_is_no_zip_is_refused(data):
    refusal_of(data)


def test_every_cut_of_a_zip_is_refused():
    data = zipped({"a": b"12345", "b": b"67890"})
    for length in range(0, len(data), 7):
        refusal_of(data[:length])


def test_300_mutations_of_a_zip_are_read_or_refused():
    good = zipped({"metadata.csv": b"text\nhello\n", "a/b.png": bytes(range(256))})
    generator = np.random.default_rng(3)
    outcomes = set()
    for _ in range(300):
        data = bytearray(good)
        for place in generator.integers(0, len(data), 3):
            data[place] = generator.integers(0, 256)
        try:
            files_of(bytes(data))
            outcomes.add("read")
        except CallError as error:
            outcomes.add(error.code)
    assert outcomes == {"read", "archive_refused"}


def test_a_large_zip_spills_to_disk_and_reads_the_same(monkeypatch):
    monkeypatch.setattr(media, "MEMORY_BYTES", 6)
    store = MediaStore()
    found = unpack(io.BytesIO(zipped({"a": b"12345", "b": b"67890"})), "a.zip", store)
    assert found["a"].path is None
    assert found["b"].data is None
    assert read_media(found["b"]) == b"67890"
