"""One thing the model is asked about, and how a row ends that gives no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

MODALITIES = ("text", "image", "audio")


@dataclass(frozen=True)
class Media:
    """An image or audio file: named by the SHA-256 of its bytes, held in memory or on disk (see `reading.media`)."""

    sha256: str
    name: str
    data: bytes | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Record:
    """One thing the model was asked about; any modality may be None."""

    id: str
    text: str | None = None
    image: Media | None = None
    audio: Media | None = None
    label: str | None = None
    timestamp: datetime | None = None  # naive UTC
    meta: Mapping[str, str | float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def present(self) -> tuple[str, ...]:
        """Return the modalities the record has, in the order of `MODALITIES`."""
        return tuple(m for m in MODALITIES if getattr(self, m) is not None)


@dataclass(frozen=True)
class Refusal:
    """A row that did not become a record, and why."""

    id: str
    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    """A row without an answer; `strategy` is None when the record itself could not be read."""

    id: str
    strategy: str | None
    code: str
    message: str
