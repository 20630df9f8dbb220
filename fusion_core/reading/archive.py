"""Unpack a zip from a stranger: every entry checked before and while it is read, all or nothing, nothing extracted."""

from __future__ import annotations

import stat
import zipfile
from typing import BinaryIO

from fusion_core.errors import CallError, RecordError
from fusion_core.reading.media import MAX_FILE_BYTES, MediaStore
from fusion_core.reading.paths import plain_parts
from fusion_core.reading.signatures import kind_of
from fusion_core.reading.texts import quoted
from fusion_core.types import Media

MAX_ENTRIES = 5_000
MAX_ENTRY_BYTES = MAX_FILE_BYTES
MAX_TOTAL_BYTES = 2_000_000_000
MAX_RATIO = 200
RATIO_ABOVE_BYTES = 1_000_000

_CHUNK = 1 << 20
_DIRECTORY_MARK = b"PK\x01\x02"
_LOCAL_MARK = b"PK\x03\x04"
_LOCAL_HEADER = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000


def unpack(stream: BinaryIO, name: str, store: MediaStore) -> dict[str, Media]:
    """Return the zip's files by their plain name (`folder/file`), kept in `store`.

    Raises CallError `archive_refused` (or `resource_exhausted`), and then nothing of the zip may be used.
    """
    try:
        _check_entry_count(stream)
        with zipfile.ZipFile(stream) as archive:
            entries = _checked(archive)
            _check_overlaps(archive, stream)
            return _read_all(archive, entries, store)
    except (CallError, RecordError) as error:
        raise CallError(f"zip {quoted(name)}: {error}", error.code) from error
    except MemoryError as error:
        raise CallError(f"zip {quoted(name)} needs more memory than there is", "resource_exhausted") from error
    except Exception as error:  # zipfile raises anything from struct.error to NotImplementedError on a hostile file
        raise CallError(f"zip {quoted(name)} is damaged and cannot be unpacked", "archive_refused") from error


def _check_entry_count(stream: BinaryIO) -> None:
    """Count directory marks before `zipfile` builds an object for each; every entry has one."""
    stream.seek(0)
    found, tail = 0, b""
    while chunk := stream.read(_CHUNK):
        window = tail + chunk
        found += window.count(_DIRECTORY_MARK)
        tail = window[-(len(_DIRECTORY_MARK) - 1) :]
    if found > MAX_ENTRIES:
        raise _refused(f"holds {found:,} entries; at most {MAX_ENTRIES:,} are read")
    stream.seek(0)


def _checked(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the files by plain name, refusing what the directory alone gives away."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        key = _plain_name(info)
        _check_kind(info, quoted(key))
        if info.is_dir():
            continue
        if key in entries:
            raise _refused(f"holds {quoted(key)} twice")
        _check_size(info.file_size, info, quoted(key))
        entries[key] = info
    total = sum(info.file_size for info in entries.values())
    if total > MAX_TOTAL_BYTES:
        raise _refused(f"unpacks to {total:,} bytes; at most {MAX_TOTAL_BYTES:,} are read")
    return entries


def _plain_name(info: zipfile.ZipInfo) -> str:
    try:
        return "/".join(plain_parts(info.orig_filename))
    except RecordError as error:
        raise _refused(str(error)) from error


def _check_kind(info: zipfile.ZipInfo, shown: str) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise _refused(f"{shown} is encrypted")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(f"{shown} is a link or a device, not a file")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(f"{shown} is compressed by method {info.compress_type}; stored and deflated files are read")
    if info.is_dir() and info.file_size:
        raise _refused(f"{shown} is a folder with content")


def _check_size(size: int, info: zipfile.ZipInfo, shown: str) -> None:
    if size > MAX_ENTRY_BYTES:
        raise _refused(f"{shown} unpacks to {size:,} bytes; at most {MAX_ENTRY_BYTES:,} are read")
    if size > RATIO_ABOVE_BYTES and size > MAX_RATIO * info.compress_size:
        raise _refused(f"{shown} unpacks to more than {MAX_RATIO} times its size")


def _check_overlaps(archive: zipfile.ZipFile, stream: BinaryIO) -> None:
    """Refuse entries that share bytes with each other or with the directory (Python 3.11.7 opens them)."""
    ordered = sorted(archive.infolist(), key=lambda info: info.header_offset)
    ends = [info.header_offset for info in ordered[1:]] + [archive.start_dir]
    for info, end in zip(ordered, ends, strict=True):
        stream.seek(info.header_offset)
        header = stream.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or not header.startswith(_LOCAL_MARK):
            raise _refused(f"the header of {quoted(info.filename)} is not where the directory says")
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if info.header_offset + _LOCAL_HEADER + names + info.compress_size > end:
            raise _refused(f"{quoted(info.filename)} overlaps another entry")


def _read_all(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], store: MediaStore) -> dict[str, Media]:
    files, total = {}, 0
    for key, info in entries.items():
        data = _read(archive, info, quoted(key))
        total += len(data)
        if total > MAX_TOTAL_BYTES:
            raise _refused(f"unpacks to more than {MAX_TOTAL_BYTES:,} bytes")
        if kind_of(data) == "zip archive":
            raise _refused(f"{quoted(key)} is a zip inside the zip")
        files[key] = store.keep(data, key)
    return files


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, shown: str) -> bytes:
    data = bytearray()
    with archive.open(info) as entry:
        while chunk := entry.read(_CHUNK):
            data += chunk
            _check_size(len(data), info, shown)
    if len(data) != info.file_size:
        raise _refused(f"{shown} is {len(data):,} bytes, not the {info.file_size:,} it says")
    return bytes(data)


def _refused(message: str) -> CallError:
    return CallError(message, "archive_refused")
