"""How a prediction log lies on disk: the columns of its parts, the names of its files, and what a run says of itself.

LOG/media/ab/cd/<sha256>.<ext>                       media by their content, outside the tables
LOG/runs/<run>/run.json                              Run, as JSON
LOG/runs/<run>/parts/part-00000.parquet              answered rows, zstd, with page checksums
LOG/runs/<run>/errors/part-00000.parquet             rows that ended as an error
LOG/runs/<run>/MANIFEST.jsonl                        one line per live part: Part, as JSON
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import pyarrow as pa

FORMAT = 1
#: Rows of a finished part; smaller ones are compacted.
FEWEST_ROWS, MOST_ROWS = 50_000, 250_000
#: Bytes of a finished part, however few its rows, and about the most that are put together, which is done in memory.
FEWEST_BYTES, MOST_BYTES = 32_000_000, 64_000_000
#: Slice columns carry this before the name the record set gave them, so that none can shadow a column of ours.
SLICE = "slice_"
SLICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

SliceKind = Literal["text", "number"]
PartKind = Literal["parts", "errors"]

#: Answered rows; `slice_*` columns follow. One row per record and strategy.
ANSWERED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("strategy", pa.string(), nullable=False),
        pa.field("timestamp", pa.timestamp("us")),  # naive UTC
        pa.field("release", pa.string()),
        pa.field("prediction", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32())),  # in the order of the run's classes
        pa.field("label", pa.string()),
        pa.field("correct", pa.bool_()),
        pa.field("latency_ms", pa.float32()),
        pa.field("present", pa.string(), nullable=False),  # "text+image+audio", in this order
        pa.field("flags", pa.string(), nullable=False),  # names joined by spaces
        pa.field("text", pa.string()),
        pa.field("image", pa.string()),  # "<sha256>.<ext>"
        pa.field("audio", pa.string()),
    ]
)

#: Rows that gave no answer. Every row that went in is in one of the two tables, once per strategy or as an error.
ERRORS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("strategy", pa.string()),  # null: the record itself could not be read
        pa.field("timestamp", pa.timestamp("us")),
        pa.field("release", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)

SLICE_TYPES: Mapping[SliceKind, pa.DataType] = {"text": pa.string(), "number": pa.float64()}


def answered_schema(slices: Mapping[str, SliceKind]) -> pa.Schema:
    """Return the columns of answered rows with the slices of a run, which are named without their prefix."""
    extra = [pa.field(SLICE + name, SLICE_TYPES[kind]) for name, kind in slices.items()]
    return pa.schema([*ANSWERED, *extra])


@dataclass(frozen=True)
class Logged:
    """One answered row; image, audio: "<sha256>.<ext>" of media in the log. slices: by their own names."""

    id: str
    strategy: str
    prediction: str
    confidence: float
    probabilities: tuple[float, ...] | None = None
    timestamp: datetime | None = None
    release: str | None = None
    label: str | None = None
    latency_ms: float | None = None
    present: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    text: str | None = None
    image: str | None = None
    audio: str | None = None
    slices: Mapping[str, str | float | None] = field(default_factory=dict)

    @property
    def correct(self) -> bool | None:
        """Whether the prediction is the label; None without a label."""
        return None if self.label is None else self.prediction == self.label


@dataclass(frozen=True)
class LoggedError:
    """One row that gave no answer."""

    id: str
    strategy: str | None
    code: str
    message: str
    timestamp: datetime | None = None
    release: str | None = None


@dataclass(frozen=True)
class Run:
    """What a run says of itself. source: who wrote it. mapping: from our columns to those of an imported log."""

    name: str
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    slices: Mapping[str, SliceKind]
    source: Literal["sweep", "recorder", "import"]
    model: str = ""
    model_mark: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    started: datetime | None = None
    format: int = FORMAT


@dataclass(frozen=True)
class Part:
    """A live part: its file under the run's folder, such as "parts/part-00000.parquet", its rows, bytes and SHA-256."""

    file: str
    kind: PartKind
    rows: int
    bytes: int
    sha256: str
