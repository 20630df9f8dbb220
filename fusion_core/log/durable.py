"""Files that are there in full or not at all, whatever kills the writer and however full the disk is."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fusion_core.errors import CallError
from fusion_core.reading.texts import quoted

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class HashedFile:
    """A file that is hashed as it is written: the hash is that of what was meant, not of what a disk made of it."""

    closed = False  # what Arrow asks of a Python file

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Write all of the bytes."""
        view = memoryview(data)
        self._digest.update(view)
        self.size += view.nbytes
        self._file.write(view)
        return view.nbytes

    def flush(self) -> None:
        """Hand everything written so far to the system."""
        self._file.flush()

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far, as hexadecimal digits."""
        return self._digest.hexdigest()


@contextmanager
def said_as_call_error(what: str) -> Iterator[None]:
    """Turn what the system says of a write into CallError `resource_exhausted` (disk full) or `call_refused`."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        full = error.errno in _FULL
        reason = "the disk is full" if full else error.strerror or str(error)
        code = "resource_exhausted" if full else "call_refused"
        raise CallError(f"{what} cannot be written: {reason}; what was written before is kept", code) from error


def write_new(path: Path, write: Callable[[HashedFile], object]) -> HashedFile:
    """Write a file under a temporary name beside `path`, then link it there: the first writer wins.

    Raises FileExistsError if `path` is there already, CallError `resource_exhausted` on a full disk.
    """
    temporary = _temporary(path)
    with said_as_call_error(quoted(path.name)):
        try:
            file = _write_temporary(temporary, write)
            os.link(temporary, path)
            sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()
    return file


def replace_file(path: Path, data: bytes) -> None:
    """Put the bytes in the place of `path` at once; CallError `resource_exhausted` on a full disk."""
    temporary = _temporary(path)
    with said_as_call_error(quoted(path.name)):
        try:
            _write_temporary(temporary, lambda file: file.write(data))
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last; where folders cannot be opened (Windows), names last by themselves."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _write_temporary(temporary: Path, write: Callable[[HashedFile], object]) -> HashedFile:
    with temporary.open("xb") as raw:
        file = HashedFile(raw)
        write(file)
        raw.flush()
        os.fsync(raw.fileno())
    return file
