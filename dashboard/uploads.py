"""From what a user typed, dropped or recorded to a record set of their own, with an account of what was left out."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fusion_core.errors import RecordError
from fusion_core.model import FusedModel
from fusion_core.reading.bounded import decode_audio, decode_image, read_bytes
from fusion_core.reading.media import media_from_bytes, read_media
from fusion_core.reading.records import RecordSet
from fusion_core.types import Media, Record, Refusal

Progress = Callable[[int, int], object]
File = tuple[str, bytes]  # name and content
KEPT_PER_BROWSER, KEPT_IN_ALL = 4, 24  # each may hold 2 GB on disk
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


@dataclass(frozen=True)
class OpenSet:
    """The record set being looked at: the operator's folder, or an upload that only its browser may see."""

    key: str
    name: str
    records: RecordSet
    upload: Upload | None = None


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


def record_set(model: FusedModel, file: File, progress: Progress) -> Upload:
    """Read a zip or table and decode every file in it once, so that what is wrong is known before it is looked at.

    Raises CallError when the set as a whole cannot be read. `progress` is told rows done and rows in all.
    """
    given = read_bytes(file[1], file[0])
    rows: list[Record | Refusal] = []
    left_out: list[Refusal] = []
    parts: set[str] = set()
    for done, row in enumerate(given.rows):
        progress(done, len(given))
        if isinstance(row, Record):
            kept, unread = readable_part(row, model.modalities)
            left_out += unread
            if kept.present():
                parts |= {kept.id} if unread else set()
                rows.append(kept)
                continue
            row = Refusal(row.id, unread[0].code, unread[0].message)
        else:
            left_out.append(row)
        rows.append(row)
    return Upload(file[0], RecordSet(tuple(rows), given.store), tuple(left_out), frozenset(parts))


def readable_part(record: Record, modalities: Sequence[str]) -> tuple[Record, list[Refusal]]:
    """Return the record without the files that cannot be decoded, a flag on it for each, and why.

    Files of modalities the model does not read are kept unseen: they are never decoded.
    """
    unread: list[Refusal] = []
    for modality, decode in DECODERS.items():
        media: Media | None = getattr(record, modality)
        if media is None or modality not in modalities:
            continue
        try:
            decode(read_media(media), media.name)
        except RecordError as error:
            unread.append(Refusal(record.id, error.code, str(error)))
            flags = (*record.flags, f"{modality} could not be read")
            record = replace(_with_media(record, modality, None), flags=flags)
    return record, unread


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
    """Uploads of all browsers; each sees only its own, and the oldest go when there are too many."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Upload] = {}
        self._lock = threading.Lock()

    def keep(self, owner: str, upload: Upload) -> str:
        """Keep an upload for its owner and return the key it is found by."""
        key = secrets.token_urlsafe(9)
        with self._lock:
            self._kept[owner, key] = upload
            own = [kept for kept in self._kept if kept[0] == owner]
            for kept, most in ((own, KEPT_PER_BROWSER), (list(self._kept), KEPT_IN_ALL)):
                for oldest in kept[: max(0, len(kept) - most)]:
                    self._kept.pop(oldest, None)
        return key

    def find(self, owner: str, key: str) -> Upload | None:
        """Return the owner's upload; None when there is none by that key, or it is somebody else's."""
        with self._lock:
            return self._kept.get((owner, key))
