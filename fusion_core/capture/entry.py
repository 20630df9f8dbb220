"""One answer of a serving process: as it was recorded, and as a row of the log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from sys import getsizeof

from fusion_core.errors import RecordError
from fusion_core.log.entries import flag_names, keep_by_content
from fusion_core.log.schema import Logged
from fusion_core.log.shares import check_confidence, check_shares
from fusion_core.reading.cells import identity, slice_value, words

#: A longer text tells no rows apart, and is no reason to lose others that wait.
MAX_SLICE_CHARACTERS = 1_000
_BARE, _NUMBER = 500, 24  # bytes of an entry without anything, and of a number in a tuple


@dataclass(frozen=True)
class Entry:
    """What `Recorder.record` was given. `time`: seconds since 1970, or a moment (naive is UTC)."""

    id: object
    prediction: object
    time: float | datetime
    text: str | None = None
    image: bytes | None = None
    audio: bytes | None = None
    probabilities: Sequence[float] | Mapping[str, float] | None = None
    confidence: float | None = None
    label: str | None = None
    latency_ms: float | None = None
    strategy: str = "served"
    slices: Mapping[str, object] = field(default_factory=dict)
    flags: Sequence[str] = ()

    def own(self) -> Entry:
        """Return the entry with nothing in it that its giver can still change: a buffer that is used again, a list.

        Raises TypeError or ValueError for what is no bytes, probabilities or names, and for a slice's text of more than
        1,000 characters.
        """
        return Entry(
            *(self.id, self.prediction, self.time, self.text, _own_bytes(self.image), _own_bytes(self.audio)),
            _own_shares(self.probabilities),
            None if self.confidence is None else float(self.confidence),
            self.label,
            None if self.latency_ms is None else float(self.latency_ms),
            self.strategy,
            {str(name): _own_cell(value) for name, value in self.slices.items()} if self.slices else {},
            tuple(self.flags),
        )

    @cached_property
    def bytes(self) -> int:
        """How much memory an entry of its `own` holds while it waits; counted once: what is added is taken away."""
        said = (self.id, self.prediction, self.probabilities, self.label, self.strategy, self.slices, self.flags)
        return _BARE + sum(map(_held, (*said, self.text, self.image, self.audio)))

    @property
    def moment(self) -> datetime:
        """When it was answered, naive UTC; ValueError or OverflowError for seconds that no date can hold."""
        if isinstance(self.time, datetime):
            return self.time.astimezone(UTC).replace(tzinfo=None) if self.time.tzinfo else self.time
        try:
            return datetime.fromtimestamp(self.time, UTC).replace(tzinfo=None)
        except OSError as error:  # as of nanoseconds: the entry's fault, though it looks like the disk's
            raise ValueError(f"{self.time!r} seconds since 1970 is no time") from error


def _held(value: object) -> int:
    """Return the bytes of a value and of what it holds; of a text, as Python keeps it: 1 to 4 for a character."""
    if value is None or type(value) is str or type(value) is bytes:
        return 0 if value is None else getsizeof(value)
    if type(value) is dict:
        return getsizeof(value) + sum(_held(key) + _held(of) for key, of in value.items())
    if type(value) is tuple:
        # Numbers alone are what probabilities are, thousands of them; all are of one size.
        inside = sum(map(_held, value)) if value and not isinstance(value[0], float) else _NUMBER * len(value)
        return getsizeof(value) + inside
    return getsizeof(value)


def _own_bytes(data: bytes | None) -> bytes | None:
    return data if data is None or type(data) is bytes else bytes(memoryview(data))


def _own_shares(given: Sequence[float] | Mapping[str, float] | None) -> Sequence[float] | Mapping[str, float] | None:
    if given is None or type(given) is tuple:
        return given
    if isinstance(given, Mapping):
        return dict(given)
    listed = getattr(given, "tolist", None)  # of arrays and tensors, in one step for all numbers
    return tuple(given if listed is None else listed())


def _own_cell(value: object) -> object:
    """Return a slice value as what it will be in the log; an array of one number can be changed, a number cannot."""
    plain = value is None or type(value) in (str, float, int, bool)
    cell = value if plain else slice_value(getattr(value, "tolist", lambda: value)())
    if isinstance(cell, str) and len(cell) > MAX_SLICE_CHARACTERS:
        raise ValueError(f"a slice of {len(cell):,} characters; at most {MAX_SLICE_CHARACTERS:,} are kept")
    return cell


def logged(
    entry: Entry, classes: Sequence[str], release: str | None, log: Path, slices: Mapping[str, str | float | None]
) -> Logged:
    """Return an entry as a row, its media kept in the log.

    Raises RecordError or ValueError for an entry that is no answer of these classes, CallError for media that cannot be
    kept.
    """
    id, prediction = identity(entry.id), words(entry.prediction, "prediction")
    if id is None or prediction is None:
        raise RecordError("an entry needs an id and a prediction", "metadata_damaged")
    if prediction not in classes:
        raise RecordError(f"prediction {prediction!r} is none of {', '.join(classes)}", "metadata_damaged")
    probabilities = in_order(entry.probabilities, classes)
    confidence = entry.confidence
    if confidence is not None:
        check_confidence(float(confidence))
    else:
        confidence = math.nan if probabilities is None else probabilities[list(classes).index(prediction)]
    kept = {m: getattr(entry, m) for m in ("image", "audio")}
    named = {m: None if data is None else keep_by_content(log, bytes(data)) for m, data in kept.items()}
    text = words(entry.text, "text")
    there = {"text": text, **named}
    return Logged(
        id,
        words(entry.strategy, "strategy") or "served",
        prediction,
        float(confidence),
        probabilities,
        entry.moment,
        release,
        words(entry.label, "label"),
        None if entry.latency_ms is None else float(entry.latency_ms),
        tuple(m for m, value in there.items() if value is not None),
        flag_names(entry.flags),
        text,
        named["image"],
        named["audio"],
        slices,
    )


def in_order(given: Sequence[float] | Mapping[str, float] | None, classes: Sequence[str]) -> tuple[float, ...] | None:
    """Return probabilities in the order of the classes; RecordError unless there is one for each, in sum 1."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        unknown = set(given) - set(classes)
        if unknown:
            raise RecordError(f"probability of {min(map(str, unknown))!r}, which is no class", "metadata_damaged")
        given = [given.get(name, 0.0) for name in classes]
    values = tuple(float(p) for p in given)
    check_shares(values, len(classes))
    return values
