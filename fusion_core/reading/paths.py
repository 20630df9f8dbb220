"""File names from a stranger: which are plain, and where under a root they lead."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from fusion_core.errors import RecordError
from fusion_core.reading.texts import BIDI, quoted

MAX_NAME = 1_000
MAX_PART_BYTES = 255

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|(?:data|file|https?|ftp|s3|gs|hf):", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f{BIDI}\u2028\u2029\ud800-\udfff]")


def plain_parts(name: str) -> tuple[str, ...]:
    """Split a relative file name into its parts (`./` dropped).

    Raises RecordError `remote_media_refused` for an address, and `path_refused` for anything but a plain relative name:
    absolute, drive, UNC, backslash, `..`, control or bidi characters, over-long, empty.
    """
    if _ADDRESS.match(name):
        raise RecordError(
            f"{quoted(name)} is an address; media are read from the record set only", "remote_media_refused"
        )
    fault = _fault(name)
    if fault:
        raise RecordError(f"file name {quoted(name)} {fault}; plain relative names are read", "path_refused")
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _fault(name: str) -> str | None:
    parts = name.split("/")
    if len(name) > MAX_NAME:
        return f"has {len(name):,} characters (at most {MAX_NAME:,})"
    if _UNSAFE.search(name):
        return "holds control or direction characters"
    if name.startswith("/") or _DRIVE.match(name):
        return "is absolute"
    if "\\" in name:
        return "holds a backslash"
    if ".." in parts:
        return "holds '..'"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"has a part longer than {MAX_PART_BYTES} bytes"
    return None if any(part not in ("", ".") for part in parts) else "names no file"


def resolve_inside(root: Path, name: str) -> Path:
    """Return where `name` lies under `root`, its parents resolved and its last part not followed if it is a link.

    Raises RecordError `path_refused` or `remote_media_refused`. Open the result with `open_regular`.
    """
    *folders, last = plain_parts(name)
    try:
        base = root.resolve()
        parent = base.joinpath(*folders).resolve()
    except (OSError, RuntimeError) as error:
        raise RecordError(f"file name {quoted(name)} cannot be followed", "path_refused") from error
    if not parent.is_relative_to(base):
        raise RecordError(f"file name {quoted(name)} leads out of the record set", "path_refused")
    return parent / last


def open_regular(path: Path, name: str) -> BinaryIO:
    """Open a regular file without following a link in its last part; `name` is what messages call it.

    Raises RecordError `file_missing` or `path_refused`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if path.is_symlink():
            raise RecordError(f"{quoted(name)} is a link, and links are not followed", "path_refused")
        number = os.open(path, flags)
    except FileNotFoundError as error:
        raise RecordError(f"{quoted(name)} is not in the record set", "file_missing") from error
    except OSError as error:
        raise RecordError(f"{quoted(name)} cannot be opened: {error.strerror}", "file_missing") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise RecordError(f"{quoted(name)} is not a file", "path_refused")
    return os.fdopen(number, "rb")
