"""Media of a log, kept once under their content: `media/ab/cd/<sha256>.<ext>`."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

from fusion_core.errors import CallError, RecordError
from fusion_core.log.durable import replace_file, said_as_call_error
from fusion_core.reading.media import MAX_FILE_BYTES
from fusion_core.reading.paths import resolve_inside
from fusion_core.reading.texts import quoted

_SUFFIX = re.compile(r"[a-z0-9]{1,8}")
_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}")


def keep_media(log: Path, data: bytes, suffix: str) -> str:
    """Keep the bytes unless they are kept already and return their name in the log, "<sha256>.<ext>".

    Raises CallError for a suffix that is not 1 to 8 plain letters or digits, `file_too_large` above 200 MB,
    `resource_exhausted` on a full disk.
    """
    ending = suffix.lower().removeprefix(".")
    if not _SUFFIX.fullmatch(ending):
        raise CallError(f"suffix {quoted(suffix)} is not allowed; allowed are 1 to 8 letters and digits, as in 'png'")
    if len(data) > MAX_FILE_BYTES:
        raise CallError(f"media of {len(data):,} bytes; at most {MAX_FILE_BYTES:,} are kept", "file_too_large")
    name = f"{hashlib.sha256(data).hexdigest()}.{ending}"
    path = _place(log, name)
    if _is_kept(path, len(data)):
        return name
    with said_as_call_error(quoted(name)):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)  # whoever kept the same content at the same time kept the same bytes
    return name


def media_path(log: Path, name: str) -> Path:
    """Return where kept media lie; `name` is "<sha256>.<ext>". Open it with `open_regular`, and check the hash.

    Raises RecordError `path_refused` for any other name and for a folder that leads out of the log.
    """
    if not _NAME.fullmatch(name):
        raise RecordError(f"media name {quoted(name)} is not '<sha256>.<ext>'", "path_refused")
    return _place(log, name)


def _place(log: Path, name: str) -> Path:
    return resolve_inside(log, f"media/{name[:2]}/{name[2:4]}/{name}")


def _is_kept(path: Path, size: int) -> bool:
    try:
        there = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_size == size
