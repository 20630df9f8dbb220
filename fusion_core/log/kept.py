"""Media of a log, kept once under their content: `media/ab/cd/<sha256>.<ext>`.

Whoever keeps media holds `naming_media` until the part that names them is live; whoever drops media that no row names
any more holds `dropping_media` from the look for names to the end. Where a run is `locked` too, it is locked within.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fusion_core.errors import CallError, RecordError
from fusion_core.log.durable import replace_file, said_as_call_error
from fusion_core.reading.media import MAX_FILE_BYTES
from fusion_core.reading.paths import resolve_inside
from fusion_core.reading.texts import quoted

try:
    import fcntl
except ImportError:  # Windows has no such lock; there, media that were kept a short while ago are not dropped
    fcntl = None  # type: ignore[assignment]

LOCK = "media.lock"
#: How long a part may take to name media, in seconds, where there is no lock.
GRACE = 3_600.0
_SUFFIX = re.compile(r"[a-z0-9]{1,8}")
_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}")


@contextmanager
def naming_media(log: Path) -> Iterator[None]:
    """Keep media from being dropped until a part names them; many may at once. Not to be nested."""
    with _locked(log, exclusive=False):
        yield


@contextmanager
def dropping_media(log: Path) -> Iterator[None]:
    """Wait until no media are kept that no part names yet, and let nobody keep any. Not to be nested."""
    with _locked(log, exclusive=True):
        yield


def drop_media(log: Path, name: str) -> bool:
    """Drop media that no row names, with `dropping_media` held; say whether they are gone.

    Raises RecordError as `media_path`, FileNotFoundError for media that went before.
    """
    path = media_path(log, name)
    if fcntl is None and time.time() - path.stat().st_mtime < GRACE:
        return False
    path.unlink()
    return True


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
        if fcntl is None:
            with suppress(OSError):
                os.utime(path)  # kept anew: see `drop_media`
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


@contextmanager
def _locked(log: Path, exclusive: bool) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    with said_as_call_error("the lock of the log's media"):
        log.mkdir(parents=True, exist_ok=True)
        number = os.open(log / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        fcntl.flock(number, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)  # a child forked meanwhile has our lock open, too
        os.close(number)


def _place(log: Path, name: str) -> Path:
    return resolve_inside(log, f"media/{name[:2]}/{name[2:4]}/{name}")


def _is_kept(path: Path, size: int) -> bool:
    try:
        there = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_size == size
