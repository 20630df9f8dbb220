"""Which column of somebody else's log is which of ours."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fusion_core.errors import CallError, RecordError
from fusion_core.reading.cells import slice_value
from fusion_core.reading.metadata import Row
from fusion_core.reading.texts import quoted

#: A column of this name and a class after it holds the probabilities of that class.
PROBABILITY = "prob_"
NEEDED = ("id", "prediction")
OURS = (
    *NEEDED,
    "strategy",
    "timestamp",
    "release",
    "confidence",
    "probabilities",
    "label",
    "latency_ms",
    "text",
    "image",
    "audio",
)
#: What a file may call a column of ours without a mapping.
ALSO = {"image": "image_file_name", "audio": "audio_file_name"}
_WORDS = ("id", "prediction", "strategy", "timestamp", "release", "probabilities", "label", "text", "image", "audio")


@dataclass(frozen=True)
class Columns:
    """ours: from columns of ours to those of the file. classes: from classes to the file's columns of probabilities."""

    ours: Mapping[str, str]
    classes: Mapping[str, str]

    @property
    def taken(self) -> frozenset[str]:
        """Columns of the file that are no slices."""
        return frozenset((*self.ours.values(), *self.classes.values()))

    @property
    def as_written(self) -> frozenset[str]:
        """Columns of the file whose cells are words, even where they look like numbers."""
        return frozenset(self.ours[name] for name in _WORDS if name in self.ours)

    def of(self, row: Row) -> Callable[[str], object]:
        """Return what gives the row's cell of a column of ours, None where there is none."""
        return lambda name: row.cells.get(self.ours[name]) if name in self.ours else None

    def number(self, row: Row, name: str) -> float | None:
        """Return a cell of a column of ours as a number; RecordError when it is none."""
        return number_in(self.of(row)(name), name)


def number_in(cell: object, name: str) -> float | None:
    """Return a cell as a finite number, None where it is empty; RecordError when it is something else."""
    value = slice_value(cell)
    if value is None:
        return None
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise RecordError(f"{name} is {quoted(str(value), 40)}, not a number", "metadata_damaged")
    return found


def default_mapping(there: Sequence[str], given: Mapping[str, str], name: str) -> Columns:
    """Complete a mapping by the columns of like name.

    Raises CallError for a column that is not there, two of ours that are one of theirs, and a missing id or prediction.
    """
    for ours, theirs in given.items():
        if ours not in OURS:
            raise CallError(f"--map {ours}=: there is no such column of ours; there are {', '.join(OURS)}")
        if theirs not in there:
            near = difflib.get_close_matches(theirs, there, n=1)
            hint = f" (near it: {quoted(near[0])})" if near else ""
            raise CallError(f"{quoted(name)} has no column {quoted(theirs)}{hint}; {_said(there)}")
    if len(set(given.values())) < len(given):
        raise CallError("--map: two columns of ours are one column of the file")
    mapping = dict(given)
    for ours in OURS:
        for theirs in (ours, ALSO.get(ours, ours)):
            if ours not in mapping and theirs in there and theirs not in mapping.values():
                mapping[ours] = theirs
    missing = [ours for ours in NEEDED if ours not in mapping]
    if missing:
        raise CallError(f"{quoted(name)} has no column for {' and '.join(missing)}; {_said(there)}; name it with --map")
    taken = set(mapping.values())
    shares = [c for c in there if c.startswith(PROBABILITY) and len(c) > len(PROBABILITY) and c not in taken]
    return Columns(mapping, {column.removeprefix(PROBABILITY): column for column in shares})


def _said(there: Sequence[str]) -> str:
    shown = ", ".join(quoted(column, 40) for column in there[:30])
    return f"it has {shown}{', …' if len(there) > 30 else ''}"
