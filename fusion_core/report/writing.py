"""A page on disk: whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from fusion_core.errors import CallError
from fusion_core.reading.texts import quoted


def check_out(out: Path) -> None:
    """Raise CallError where no file could be written: a folder, a device, or a path whose folder is not there."""
    try:
        folder, other, parent = out.is_dir(), out.exists() and not out.is_file(), out.parent.is_dir()
    except OSError as error:
        raise CallError(f"--out {quoted(out.name)} cannot be written: {error.strerror}") from error
    if folder:
        raise CallError(f"--out {quoted(out.name)} is a folder; name a file such as case.html")
    if other:
        raise CallError(f"--out {quoted(out.name)} is not a regular file")
    if not parent:
        raise CallError(f"--out {quoted(out.name)} lies in a folder that is not there")


def write_page(text: str, out: Path) -> int:
    """Write a page through a temporary name beside it, so that nobody ever sees half of it; return its bytes.

    Raises CallError where it cannot be written; what stood there before then stands there still.
    """
    check_out(out)
    data = text.encode("utf-8")
    partly = out.parent / f".case-{secrets.token_hex(8)}.tmp"
    try:
        with partly.open("xb") as file:
            file.write(data)
        os.replace(partly, out)
    except OSError as error:
        raise CallError(f"--out {quoted(out.name)} cannot be written: {error.strerror}") from error
    finally:
        partly.unlink(missing_ok=True)
    return len(data)
