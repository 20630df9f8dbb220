"""What a case file shows, as plain data, and how it comes to be: a record, a model and a question."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

import fusion_core
from fusion_core.embedded import PLAYBACK_LIMIT, PLAYBACK_RATE, peak_level, peaks, wav_uri, webp_uri
from fusion_core.errors import RecordError
from fusion_core.model import Fitted, FusedModel
from fusion_core.question import Question
from fusion_core.reading.bounded import decode_audio, decode_image
from fusion_core.reading.media import read_media
from fusion_core.trace import trace_strategies
from fusion_core.types import Failure, Prediction, Record, TokenAxis, Tokens, Trace

CHANCE = "chance"
PACKAGES = ("torch", "transformers", "captum")
PICTURE_SIDE = 480  # pixels
WAVE_COLUMNS = 300
#: What is embedded of a clip, said beside the player.
EMBEDDED = f"embedded as {PLAYBACK_RATE // 1000} kHz mono WAV"
#: A section that another command adds: its title, and rows of a label and a value. Plain text; the page escapes it.
Section = tuple[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Photo:
    """The record's image as it is embedded, and the size in pixels that token boxes count."""

    src: str
    width: int
    height: int


@dataclass(frozen=True)
class Sound:
    """The part of a clip that the encoder hears, as it is embedded.

    seconds: its length; whole: the clip's; playable: what can be played of it. level: loudest sample in dBFS, None when
    silent. peaks: lowest and highest sample per column, `int8 [2, C]`.
    """

    src: str
    seconds: float
    whole: float
    playable: float
    rate: int
    level: float | None
    peaks: np.ndarray


@dataclass(frozen=True)
class StrategyRow:
    """One strategy's answer beside how good it is; prediction is None where the answer is not finite."""

    fitted: Fitted
    prediction: Prediction | None

    @property
    def chance(self) -> bool:
        """Whether the strategy is no better than chance, so that its answer is none."""
        return self.fitted.status == CHANCE


@dataclass(frozen=True)
class Case:
    """Everything one case file shows. traces: the strategies told in full, the one the verdict speaks of first."""

    record: Record
    model: str
    reads: tuple[str, ...]
    date: datetime
    question: Question
    rows: tuple[StrategyRow, ...]
    traces: tuple[Trace, ...]
    failures: tuple[Failure, ...]
    photo: Photo | None
    sound: Sound | None
    versions: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...] = ()


def gather(
    model: FusedModel,
    record: Record,
    strategies: Sequence[str],
    question: Question,
    date: datetime,
    bundle: Path | None = None,
    sections: Sequence[Section] = (),
) -> Case:
    """Trace a record under the strategies to be told in full, and answer it under all others.

    bundle: the folder the model came from, named on the page by its hash alone. Raises RecordError when the record
    cannot be read, or none of the strategies has a finite answer; CallError as `trace_record` does.
    """
    inputs, tokens = model.encode_record(record)
    found = trace_strategies(model, record, inputs, tokens, strategies, question)
    traces = sorted(
        (one for one in found if isinstance(one, Trace)), key=lambda one: one.strategy != model.default_strategy
    )
    failures = tuple(one for one in found if isinstance(one, Failure))
    if not traces:
        raise RecordError(failures[0].message, failures[0].code, record.id)
    told = {one.strategy: one.prediction for one in traces}
    rows = [
        StrategyRow(model.fitted[name], told.get(name) or _answer(model, tokens, name, record.label))
        for name in model.strategies
    ]
    return Case(
        record=record,
        model=model.name,
        reads=model.modalities,
        date=date,
        question=question,
        rows=tuple(rows),
        traces=tuple(traces),
        failures=failures,
        photo=_photo(record),
        sound=_sound(record, inputs.axes(0).get("audio")),
        versions=(*_versions(), *_hashes(model, bundle)),
        sections=tuple(sections),
    )


def _answer(model: FusedModel, tokens: dict[str, Tokens], strategy: str, label: str | None) -> Prediction | None:
    with torch.no_grad():
        logits = model.fuse(tokens, strategy)[0]
    if not bool(torch.isfinite(logits).all()):
        return None
    return Prediction(logits.double().softmax(0).numpy(), model.classes, label)


def _photo(record: Record) -> Photo | None:
    """Decode and embed the image; one that cannot be decoded and that no encoder reads is left out."""
    if record.image is None:
        return None
    with suppress(RecordError):
        pixels = decode_image(read_media(record.image), record.image.name).pixels
        return Photo(webp_uri(pixels, PICTURE_SIDE), pixels.shape[1], pixels.shape[0])
    return None


def _sound(record: Record, axis: TokenAxis | None) -> Sound | None:
    """Decode and embed what the encoder hears of the clip, at most the playback limit where none does."""
    if record.audio is None:
        return None
    with suppress(RecordError):
        clip = decode_audio(read_media(record.audio), record.audio.name)
        end = axis.spans[-1][1] if axis is not None and axis.spans else PLAYBACK_LIMIT
        part = clip.samples[: max(1, round(end * clip.rate))]
        seconds = len(part) / clip.rate
        return Sound(
            src=wav_uri(part, clip.rate),
            seconds=seconds,
            whole=len(clip.samples) / clip.rate,
            playable=min(seconds, PLAYBACK_LIMIT),
            rate=clip.rate,
            level=peak_level(part),
            peaks=peaks(part, WAVE_COLUMNS),
        )
    return None


def _versions() -> list[tuple[str, str]]:
    found = [("fusion_core", fusion_core.__version__), ("python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "not installed"))
    return found


def _hashes(model: FusedModel, bundle: Path | None) -> list[tuple[str, str]]:
    """Return what names the weights, and where those that were not fitted here run.

    A bundle is named by its `model.json`, which holds the hash of every file beside it.
    """
    found = [(f"{m} encoder", f"{one.name}, SHA-256 {one.sha256}") for m, one in model.stack.sources.items()]
    if bundle is not None and (bundle / "model.json").is_file():
        digest = hashlib.sha256((bundle / "model.json").read_bytes()).hexdigest()
        found.insert(0, ("bundle", f"{model.name}, SHA-256 of its model.json {digest}"))
    return found + [("runs on", head.where) for head in model.heads.values() if head.where]
