"""Media files as they arrive: named by their content, checked when read, decoded by what they are."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from pathlib import Path

from fusion_core.errors import RecordError
from fusion_core.reading.clips import Clip, decode_audio, resample
from fusion_core.reading.paths import open_regular
from fusion_core.reading.pictures import Picture, decode_image
from fusion_core.reading.texts import clean_text, quoted, show_text
from fusion_core.types import Media

__all__ = [
    "Clip",
    "MediaStore",
    "Picture",
    "clean_text",
    "decode_audio",
    "decode_image",
    "media_from_bytes",
    "media_from_path",
    "read_media",
    "resample",
    "show_text",
]

MAX_FILE_BYTES = 200_000_000
MEMORY_BYTES = 64_000_000
_CHUNK = 1 << 20


def media_from_bytes(data: bytes, name: str) -> Media:
    """Name the bytes by their SHA-256 and hold them in memory; RecordError `file_too_large` above 200 MB."""
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(name, len(data))
    return Media(hashlib.sha256(data).hexdigest(), name, data=data)


def media_from_path(path: Path, name: str) -> Media:
    """Name a file by the SHA-256 of its content, read once as a stream and not kept.

    Raises RecordError `file_missing`, `path_refused` or `file_too_large`.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with open_regular(path, name) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > MAX_FILE_BYTES:
                    raise _too_large(name)
                digest.update(chunk)
    except OSError as error:
        raise RecordError(f"{quoted(name)} cannot be read: {error.strerror}", "file_missing") from error
    return Media(digest.hexdigest(), name, path=path)


def read_media(media: Media) -> bytes:
    """Return the file's bytes, checked against its hash: a file that changed or went since it was listed is an error.

    Raises RecordError `file_missing`, `path_refused` or `file_too_large`.
    """
    if media.data is not None:
        return media.data
    if media.path is None:
        raise RecordError(f"{quoted(media.name)} has neither bytes nor a place", "file_missing")
    try:
        with open_regular(media.path, media.name) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RecordError(f"{quoted(media.name)} cannot be read: {error.strerror}", "file_missing") from error
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(media.name)
    if hashlib.sha256(data).hexdigest() != media.sha256:
        raise RecordError(f"{quoted(media.name)} has changed since the record set was read", "file_missing")
    return data


class PrivateFolder:
    """A folder only this user can enter; it goes, with all in it, when this object does."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="fusion-lens-"))
        weakref.finalize(self, _remove, self.path, os.getpid())


class MediaStore:
    """Keeps unpacked media: in memory up to 64 MB in all, then in a private folder that goes with the store.

    With a `folder` of somebody else's, all of them are kept there, and left there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.held = 0
        self._given = folder
        self._own: PrivateFolder | None = None

    def keep(self, data: bytes, name: str) -> Media:
        """Keep the bytes under their hash; RecordError `file_too_large` or, on a full disk, `resource_exhausted`."""
        media = media_from_bytes(data, name)
        if self._given is None and self.held + len(data) <= MEMORY_BYTES:
            self.held += len(data)
            return media
        try:
            return Media(media.sha256, name, path=self._write(data, media.sha256))
        except OSError as error:
            raise RecordError(f"no room to unpack {quoted(name)}: {error.strerror}", "resource_exhausted") from error

    def _write(self, data: bytes, sha256: str) -> Path:
        path = self._place() / sha256
        if not path.exists():
            path.write_bytes(data)
        return path

    def _place(self) -> Path:
        if self._given is not None:
            return self._given
        self._own = self._own or PrivateFolder()
        return self._own.path


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker's copy of the store must not take the files away
        shutil.rmtree(folder, ignore_errors=True)


def _too_large(name: str, size: int | None = None) -> RecordError:
    given = f"is {size:,} bytes" if size is not None else "is too large"
    return RecordError(f"{quoted(name)} {given}; at most {MAX_FILE_BYTES:,} are read", "file_too_large")
