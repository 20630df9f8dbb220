"""A kind of fault: which modality it harms, what the harm is called, and how it is done to one record."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import soundfile
from PIL import Image

from fusion_core.reading.bounded import decode_audio, decode_image
from fusion_core.reading.clips import Clip
from fusion_core.reading.media import media_from_bytes, read_media
from fusion_core.reading.pictures import Picture
from fusion_core.registry import Registry
from fusion_core.types import Record

#: Columns an injected record set gets; empty for a record left alone.
COLUMNS = ("fault_kind", "fault_modality", "fault", "fault_severity")
SEVERITIES = (1, 2, 3, 4, 5)
#: Share of a text, clip or picture that is left at each severity when its rest is cut off.
KEPT = (0.80, 0.65, 0.50, 0.35, 0.20)


@dataclass(frozen=True)
class Injection:
    """What a fault is done with: the whole set, the place of the record in it, severity 1 to 5, and chance.

    Other records are for faults that mix records up; a fault returns the one at `place`, changed. chosen: the places of
    all records that are harmed, in random order: what they sent is not in the set any more.
    """

    records: Sequence[Record]
    place: int
    severity: int
    random: np.random.Generator
    chosen: tuple[int, ...] = ()

    @property
    def record(self) -> Record:
        """The record to harm."""
        return self.records[self.place]

    def amount(self, amounts: Sequence[float]) -> float:
        """Return the amount that stands for the severity, of five from the mildest on."""
        return amounts[self.severity - 1]


#: Returns the harmed record; None where it cannot be harmed so, such as a modality it does not have.
Harm = Callable[[Injection], Record | None]


@dataclass(frozen=True)
class Fault:
    """One kind: the modality it harms ("pair" for how they belong together), the fault it is, and the harm.

    graded: whether the harm grows with the severity; else it is the same at every one.
    """

    modality: str
    fault: str
    harm: Harm
    graded: bool = True


fault: Registry[Fault] = Registry("fault")


def on_text(change: Callable[[str, Injection], str]) -> Harm:
    """Return a harm that changes the text of a record that has one."""

    def harm(given: Injection) -> Record | None:
        text = given.record.text
        return replace(given.record, text=change(text, given)) if text else None

    return harm


def on_picture(change: Callable[[Picture, Injection], Picture]) -> Harm:
    """Return a harm that changes the decoded image, which is kept as PNG: nothing but the fault is added."""

    def harm(given: Injection) -> Record | None:
        image = given.record.image
        if image is None:
            return None
        picture = change(decode_image(read_media(image), image.name), given)
        buffer = io.BytesIO()
        Image.fromarray(picture.pixels).save(buffer, "PNG")
        return replace(given.record, image=media_from_bytes(buffer.getvalue(), f"{image.name}.png"))

    return harm


def on_clip(change: Callable[[Clip, Injection], Clip]) -> Harm:
    """Return a harm that changes the decoded audio, which is kept as 16-bit FLAC: nothing but the fault is added."""

    def harm(given: Injection) -> Record | None:
        audio = given.record.audio
        if audio is None:
            return None
        clip = change(decode_audio(read_media(audio), audio.name), given)
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(clip.samples, -1.0, 1.0), clip.rate, format="FLAC", subtype="PCM_16")
        return replace(given.record, audio=media_from_bytes(buffer.getvalue(), f"{audio.name}.flac"))

    return harm


def with_media_of(others: Iterable[Record], record: Record, modalities: Sequence[str]) -> Record | None:
    """Return the record with media of the first of the others that has all of them, each other than the record's."""
    own = {m: getattr(record, m).sha256 for m in modalities}
    for other in others:
        theirs = {m: getattr(other, m) for m in modalities}
        if all(one is not None and one.sha256 != own[m] for m, one in theirs.items()):
            return replace(record, **theirs)
    return None


def with_earlier(given: Injection, modalities: Sequence[str]) -> Record | None:
    """Return the record with media of the nearest record before it that has other ones, and is left alone itself."""
    harmed = set(given.chosen)
    earlier = (given.records[place] for place in range(given.place - 1, -1, -1) if place not in harmed)
    return with_media_of(earlier, given.record, modalities)
