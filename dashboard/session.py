"""Every cache, all session state and all query parameters of the dashboard."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.options import Workplace, workplaces
from dashboard.views.board import StrategyCard, payload
from dashboard.views.labels import LABELS
from fusion_core import bundle
from fusion_core.answer_table import answer_table, load_answers
from fusion_core.answers import answer_rows
from fusion_core.errors import RecordError
from fusion_core.model import FusedModel
from fusion_core.reading.clips import Clip, decode_audio
from fusion_core.reading.media import media_from_bytes, read_media
from fusion_core.reading.pictures import decode_image
from fusion_core.reading.records import RecordSet, read
from fusion_core.trace import Question, trace_strategies
from fusion_core.types import Failure, Record, Seam, Trace

UPLOAD = "upload"
UPLOADS = "uploads shown"
CHUNK = 16


@dataclass(frozen=True)
class Inspection:
    """A record under every strategy, with its media as they are shown; `failures` says why a strategy has no answer."""

    traces: tuple[Trace, ...]
    failures: dict[str, str]
    picture: np.ndarray | None
    clip: Clip | None
    mel: np.ndarray | None


def choices() -> list[Workplace]:
    """Return the models the operator opened the dashboard with."""
    return workplaces(sys.argv[1:])


@st.cache_resource(max_entries=4, show_spinner="Loading the model and checking its weights: this takes a few seconds.")
def model(folder: str) -> FusedModel:
    """Load a bundle and its encoders once for all sessions.

    What was loaded lives as long as the server: freezing it keeps Streamlit's collector from walking it every run.
    """
    loaded = bundle.load(Path(folder))
    _ = loaded.stack.encoders
    gc.collect()
    gc.freeze()
    return loaded


@st.cache_resource(max_entries=4, show_spinner="Reading the record set.")
def record_set(folder: str) -> RecordSet:
    """Read a record set the operator named, once for all sessions."""
    return read(Path(folder))


@st.cache_resource(max_entries=8, show_spinner=False)
def saved_answers(model_folder: str, records_folder: str) -> pd.DataFrame | None:
    """Return the answers saved beside the records, if this very model gave them."""
    return load_answers(Path(model_folder), Path(records_folder))


@st.cache_resource(max_entries=4_096, show_spinner=False)
def _answered(model_folder: str, records_folder: str, start: int) -> pd.DataFrame:
    """Answer one chunk of a record set: what is done stays done when the page is left in the middle."""
    loaded, rows = model(model_folder), record_set(records_folder).rows
    return answer_table(answer_rows(loaded, rows[start : start + CHUNK], loaded.strategies))


def answer_all(model_folder: str, records_folder: str, progress: Callable[[int, int], object]) -> None:
    """Answer the whole record set under every strategy for `answers`, reporting rows done and rows in all."""
    count = len(record_set(records_folder))
    tables = []
    for start in range(0, count, CHUNK):
        progress(start, count)
        tables.append(_answered(model_folder, records_folder, start))
    remember(_answers_name(model_folder, records_folder), pd.concat(tables, ignore_index=True))


def answers(model_folder: str, records_folder: str) -> pd.DataFrame | None:
    """Return the answers to a record set: the saved ones, else those this session asked for; None without either."""
    saved = saved_answers(model_folder, records_folder)
    fresh = recall(_answers_name(model_folder, records_folder))
    return fresh if saved is None and isinstance(fresh, pd.DataFrame) else saved


def _answers_name(model_folder: str, records_folder: str) -> str:
    return f"answers · {model_folder} · {records_folder}"


@st.cache_resource(max_entries=24, show_spinner=False, scope="session")
def inspection(model_folder: str, key: str, seam: Seam, target: str | None, _record: Record) -> Inspection:
    """Trace a record under every strategy; `key` names its content. Kept for this session only.

    Raises RecordError when the record cannot be read.
    """
    loaded = model(model_folder)
    question = Question(seam=seam, target=target)
    inputs, tokens = loaded.encode_record(_record)
    found = trace_strategies(loaded, _record, inputs, tokens, loaded.strategies, question)
    failures = {str(f.strategy): f for f in found if isinstance(f, Failure)}
    if len(failures) == len(found):
        first = next(iter(failures.values()))
        raise RecordError(first.message, first.code, _record.id)
    image = _record.image if "image" in loaded.modalities else None
    clip = _record.audio if "audio" in loaded.modalities else None
    audio = inputs.modalities.get("audio")
    return Inspection(
        traces=tuple(trace for trace in found if isinstance(trace, Trace)),
        failures={name: failure.message for name, failure in failures.items()},
        picture=decode_image(read_media(image), image.name).pixels if image else None,
        clip=decode_audio(read_media(clip), clip.name) if clip else None,
        mel=audio.values[0].numpy() if clip and audio is not None else None,
    )


@st.cache_resource(max_entries=24, show_spinner=False, scope="session")
def board_content(
    model_folder: str, key: str, seam: Seam, target: str | None, _found: Inspection, _cards: Sequence[StrategyCard]
) -> dict[str, Any]:
    """Return what the board shows of an inspection, without what is chosen on it; named like `inspection`."""
    return payload(
        _found.traces,
        picture=_found.picture,
        clip_samples=_found.clip.samples if _found.clip else None,
        clip_rate=_found.clip.rate if _found.clip else None,
        mel=_found.mel,
        strategies=_cards,
        selected="",
        token="",
        view="",
        labels=LABELS,
    )


def content_key(record: Record) -> str:
    """Name a record by its content: two records with the same id and other media differ."""
    media = [m.sha256 if m else "" for m in (record.image, record.audio)]
    return "|".join((record.id, record.text or "", record.label or "", *media))


def uploaded_record(
    text: str, image: tuple[str, bytes] | None, audio: tuple[str, bytes] | None, label: str | None
) -> Record:
    """Build a record from what was typed and dropped; raises RecordError for nothing, or for a file over the limit."""
    if not text.strip() and image is None and audio is None:
        raise RecordError("give at least one of text, image and audio", "record_empty", UPLOAD)
    return Record(
        id=UPLOAD,
        text=text if text.strip() else None,
        image=media_from_bytes(image[1], image[0]) if image else None,
        audio=media_from_bytes(audio[1], audio[0]) if audio else None,
        label=label,
    )


def show_upload(record: Record) -> None:
    """Make an upload the record that is shown, for this session."""
    remember(UPLOAD, record)
    remember(UPLOADS, uploads() + 1)


def uploads() -> int:
    """Return how many uploads this session has shown: a panel named by it is a new, closed one after each."""
    count = recall(UPLOADS)
    return count if isinstance(count, int) else 0


def remember(name: str, value: object) -> None:
    """Keep a value for this session."""
    st.session_state[name] = value


def recall(name: str) -> object:
    """Return a value kept for this session; None if there is none."""
    return st.session_state.get(name)


def link() -> dict[str, str]:
    """Return what the address asks for: model, record, strategy, token, view."""
    return {
        k: str(v)[:200] for k, v in st.query_params.items() if k in ("model", "record", "strategy", "token", "view")
    }


def write_link(**parts: str) -> None:
    """Write parts of the address; an empty value removes its part."""
    for name, value in parts.items():
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]
