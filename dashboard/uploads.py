"""From what a user typed, dropped or recorded to a record set of their own, with an account of what was left out."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from fusion_core.errors import CallError, RecordError
from fusion_core.model import FusedModel
from fusion_core.reading.bounded import decode_audio, decode_image, read_bytes
from fusion_core.reading.media import media_from_bytes, read_media
from fusion_core.reading.records import RecordSet
from fusion_core.types import Media, Record, Refusal

Progress = Callable[[int, int], object]
File = tuple[str, bytes]  # name and content
KEPT_PER_BROWSER, KEPT_BYTES = 4, 8_000_000_000  # of media, in memory or unpacked on disk
MAX_ROWS = 5_000  # the picker lists every record; larger sets are for the command line
CHECKED_AT_ONCE = 25  # rows checked between two messages, and before others get their turn
DECODERS = {"image": decode_image, "audio": decode_audio}


@dataclass(frozen=True)
class Upload:
    """What one upload became.

    left_out: one entry per file or row that could not be read. In `kept_in_part` are the ids of the records that
    stand without one of their files; rows read = records + rows refused, always.
    """

    name: str
    records: RecordSet
    left_out: tuple[Refusal, ...]
    kept_in_part: frozenset[str]

    @property
    def refused(self) -> int:
        """How many rows did not become a record."""
        return len(self.records.refusals)

    @cached_property
    def bytes(self) -> int:
        """What its media take, each file counted once."""
        files = {m.sha256: m for r in self.records.records for m in (r.image, r.audio) if m}
        return sum(len(m.data) if m.data is not None else _size(m) for m in files.values())


def _size(media: Media) -> int:
    try:
        return media.path.stat().st_size if media.path else 0
    except OSError:
        return 0


@dataclass(frozen=True)
class OpenSet:
    """The record set being looked at: the operator's folder or log, or an upload that only its browser may see.

    link: what leads to it in an address, "" for the records that came with the model. answers: what was answered in
    production, of a log.
    """

    key: str
    name: str
    records: RecordSet
    upload: Upload | None = None
    link: str = ""
    answers: pd.DataFrame | None = None


def one_record(model: FusedModel, text: str, image: File | None, audio: File | None, label: str | None) -> Upload:
    """Make a record of its parts; raises RecordError when there are none, or none can be read."""
    if not text.strip() and image is None and audio is None:
        raise RecordError("give at least one of text, image and audio", "record_empty", "upload")
    record = Record(id="upload", text=text if text.strip() else None, label=label)
    left_out: list[Refusal] = []
    for modality, file in (("image", image), ("audio", audio)):
        if file is not None:
            try:
                record = _with_media(record, modality, media_from_bytes(file[1], file[0]))
            except RecordError as error:
                left_out.append(Refusal("upload", error.code, str(error)))
    record, unread = readable_part(record, model.modalities)
    left_out += unread
    if not set(record.present()) & set(model.modalities):
        first = left_out[0]
        raise RecordError(" ".join(f"{refusal.message}." for refusal in left_out).rstrip("."), first.code, "upload")
    model.prepare([record])
    return Upload("your record", RecordSet((record,)), tuple(left_out), frozenset({"upload"} if left_out else ()))


def record_set(
    modalities: Sequence[str], file: File, progress: Progress, turn: Callable[[], AbstractContextManager[None]]
) -> Upload:
    """Read a zip or table and decode its files of these modalities once, so that what is wrong is known beforehand.

    `progress` is told rows done and rows in all; rows are checked a few at a time, each few inside a `turn()`.
    Raises CallError when the set as a whole cannot be read.
    """
    with turn():
        given = read_bytes(file[1], file[0])
    if len(given) > MAX_ROWS:
        raise CallError(
            f"{file[0]} has {len(given):,} rows; at most {MAX_ROWS:,} are opened here. "
            "The command line, `python -m fusion_core`, takes the whole set"
        )
    check = _Check(modalities)
    for start in range(0, len(given), CHECKED_AT_ONCE):
        progress(start, len(given))
        with turn():
            check.rows(given.rows[start : start + CHECKED_AT_ONCE])
    return Upload(
        file[0], RecordSet(tuple(check.kept), given.store), tuple(check.left_out), frozenset(check.kept_in_part)
    )


@dataclass
class _Check:
    """What checking rows has found so far; a file that many rows name is decoded once."""

    modalities: Sequence[str]
    kept: list[Record | Refusal] = field(default_factory=list)
    left_out: list[Refusal] = field(default_factory=list)
    kept_in_part: set[str] = field(default_factory=set)
    _known: dict[tuple[str, str], RecordError | None] = field(default_factory=dict)

    def rows(self, rows: Sequence[Record | Refusal]) -> None:
        for row in rows:
            self.kept.append(self._row(row))

    def _row(self, row: Record | Refusal) -> Record | Refusal:
        if isinstance(row, Refusal):
            self.left_out.append(row)
            return row
        part, unread = readable_part(row, self.modalities, self._known)
        if not unread and not set(part.present()) & set(self.modalities):
            unread = [nothing_read(row, self.modalities)]
        self.left_out += unread
        if not set(part.present()) & set(self.modalities):
            return Refusal(row.id, unread[0].code, unread[0].message)
        self.kept_in_part |= {row.id} if unread else set()
        return part


def nothing_read(record: Record, modalities: Sequence[str]) -> Refusal:
    """Return why a record of other modalities than the model's has no answer."""
    has, reads = " and ".join(record.present()) or "nothing", ", ".join(modalities)
    return Refusal(record.id, "record_empty", f"the record has {has}; the model reads {reads}")


def readable_part(
    record: Record, modalities: Sequence[str], known: dict[tuple[str, str], RecordError | None] | None = None
) -> tuple[Record, list[Refusal]]:
    """Return the record without the files that cannot be decoded, a flag on it for each, and why.

    Files of modalities the model does not read are kept unseen: they are never decoded. `known` keeps what became of
    each file, by modality and hash, from one record to the next.
    """
    known = {} if known is None else known
    unread: list[Refusal] = []
    for modality in DECODERS:
        media: Media | None = getattr(record, modality)
        if media is None or modality not in modalities:
            continue
        if (modality, media.sha256) not in known:
            known[modality, media.sha256] = _trouble(modality, media)
        error = known[modality, media.sha256]
        if error is not None:
            unread.append(Refusal(record.id, error.code, str(error)))
            flags = (*record.flags, f"{modality} could not be read")
            record = replace(_with_media(record, modality, None), flags=flags)
    return record, unread


def _trouble(modality: str, media: Media) -> RecordError | None:
    try:
        DECODERS[modality](read_media(media), media.name)
    except RecordError as error:
        return error
    return None


def _with_media(record: Record, modality: str, media: Media | None) -> Record:
    return replace(record, image=media) if modality == "image" else replace(record, audio=media)


def browser_of(cookie: str) -> str | None:
    """Name a browser by the cookie that Streamlit gave it against forged requests; None when it is not of that form.

    The cookie is masked anew in every answer (`2|mask|masked token|time`): what is under the mask stays.
    """
    try:
        version, mask, masked, _ = cookie.split("|")
        pad, token = bytes.fromhex(mask), bytes.fromhex(masked)
    except ValueError:
        return None
    if version != "2" or len(pad) != 4 or len(token) < 16:
        return None
    return hashlib.sha256(bytes(byte ^ pad[place % 4] for place, byte in enumerate(token))).hexdigest()


class Shelf:
    """Uploads of all browsers; each sees only its own.

    A browser's oldest go when it has too many; when all together take too much room, the oldest of the browser that
    takes the most goes, so that nobody's large uploads push out everybody else's.
    """

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._kept: dict[tuple[str, str], Upload] = {}
        self._lock = threading.Lock()
        self._most_bytes = most_bytes

    def keep(self, owner: str, upload: Upload) -> str:
        """Keep an upload for its owner and return the key it is found by."""
        key = secrets.token_urlsafe(9)
        with self._lock:
            self._kept[owner, key] = upload
            own = [kept for kept in self._kept if kept[0] == owner]
            for oldest in own[: max(0, len(own) - KEPT_PER_BROWSER)]:
                del self._kept[oldest]
            while len(self._kept) > 1 and sum(u.bytes for u in self._kept.values()) > self._most_bytes:
                del self._kept[self._next_to_go((owner, key))]
        return key

    def find(self, owner: str, key: str) -> Upload | None:
        """Return the owner's upload; None when there is none by that key, or it is somebody else's."""
        with self._lock:
            return self._kept.get((owner, key))

    def of(self, owner: str) -> dict[str, Upload]:
        """Return the owner's uploads by key, the newest first."""
        with self._lock:
            own = [(key, upload) for (other, key), upload in self._kept.items() if other == owner]
        return dict(reversed(own))

    def _next_to_go(self, newest: tuple[str, str]) -> tuple[str, str]:
        """Return the oldest upload of the owner that takes the most, never the one just kept."""
        taken: dict[str, int] = {}
        for (owner, _), upload in self._kept.items():
            taken[owner] = taken.get(owner, 0) + upload.bytes
        for largest in sorted(taken, key=lambda owner: -taken[owner]):
            own = [kept for kept in self._kept if kept[0] == largest and kept != newest]
            if own:
                return own[0]
        raise AssertionError("there was more than one upload")
