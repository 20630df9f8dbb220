"""The caches of the operator's prediction log, opened once for all sessions, and of what its records are judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.uploads import OpenSet
from fusion_core.diagnose.logged import record_of
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.reference_file import load_reference
from fusion_core.embedded import webp_uri
from fusion_core.errors import CallError, RecordError
from fusion_core.log import caused, queries
from fusion_core.log.asking import Filter, Order
from fusion_core.log.kept import media_path
from fusion_core.log.runs import read_run, runs
from fusion_core.log.schema import Logged
from fusion_core.log.store import Store
from fusion_core.model import FusedModel
from fusion_core.reading.bounded import decode_audio, decode_image
from fusion_core.reading.media import read_media
from fusion_core.reading.records import RecordSet
from fusion_core.types import Media, Record

THUMBNAIL = 96  # pixels of a picture's longer side
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "labelled": lambda store, rows: int(queries.by_slice(store, "strategy", rows)["labelled"].sum()),
    "timeline": queries.timeline,
    "confusion": queries.confusion,
    "calibration": queries.calibration,
    "by_slice": lambda store, rows, column: queries.by_slice(store, column, rows),
    "page": lambda store, rows, order, offset, limit: queries.page(store, rows, order, offset, limit),
    "error_codes": queries.error_codes,
    "error_page": lambda store, rows: queries.error_page(store, rows),
    "by_cause": caused.by_cause,
    "cause_timeline": caused.cause_timeline,
    "failure_points": caused.failure_points,
}


def log_runs(log: Path, model: str) -> list[str]:
    """Return the runs of a log, those of this model first."""
    names = runs(log)
    return sorted(names, key=lambda name: (read_run(log, name).model != model, name))


@st.cache_resource(max_entries=2, show_spinner="Opening the prediction log and checking its parts.")
def _opened(log: str, run: str) -> Store:
    return Store(Path(log), run)


def store(log: Path, run: str) -> Store:
    """Return a run of the log, opened once for all sessions and anew when it has changed."""
    opened = _opened(str(log), run)
    opened.refresh()
    return opened


@st.cache_data(max_entries=256, show_spinner=False)
def _answered(log: str, run: str, mark: str, question: str, about: str, _rows: Filter, _more: Sequence[Any]) -> Any:
    return QUESTIONS[question](_opened(log, run), _rows, *_more)


def ask(opened: Store, question: str, rows: Filter, *more: str | int | Order) -> Any:
    """Answer one of `QUESTIONS`; the same question to the same log is answered from memory."""
    about = repr((rows, more))
    return _answered(str(opened.log), str(opened.run), opened.mark, question, about, rows, more)


def strategy_of(opened: Store) -> str:
    """Return the strategy a run is looked at under: the diagnosed one, else that of most rows.

    CallError for a run without a row.
    """
    diagnosed = opened.opened[0].diagnosed
    if diagnosed is not None:
        return diagnosed.strategy
    found = ask(opened, "by_slice", Filter(), "strategy")
    if found.empty:
        raise CallError(f"run {opened.run} has no answered rows")
    return str(found["value"].iloc[0])


@st.cache_data(max_entries=4_096, show_spinner=False)
def thumbnail(log: str, name: str) -> str | None:
    """Return a small picture of an image in the log as a data URI; None for one that cannot be read."""
    try:
        media = Media(name.partition(".")[0], name, path=media_path(Path(log), name))
        pixels = decode_image(read_media(media), name).pixels
    except RecordError:
        return None
    return webp_uri(pixels, THUMBNAIL)


@st.cache_data(max_entries=32, show_spinner=False)
def heard(log: str, name: str) -> tuple[np.ndarray, int] | None:
    """Return a clip in the log as samples and rate, None for one that cannot be read."""
    try:
        clip = decode_audio(read_media(Media(name.partition(".")[0], name, path=media_path(Path(log), name))), name)
    except RecordError:
        return None
    return clip.samples, clip.rate


def logged_set(log: Path, run: str, ids: Sequence[str]) -> OpenSet:
    """Return records of a log as a set to inspect; CallError where the log has none of them any more."""
    opened = store(log, run)
    found = [one.logged for one in queries.rows_of(opened, ids, strategy_of(opened))]
    records = RecordSet(tuple(record_of(opened, logged) for logged in found))
    if not records.records:
        raise CallError("the log does not hold this record any more")
    named = hashlib.sha256(repr((str(log), run, [r.id for r in records.records])).encode()).hexdigest()
    return OpenSet(f"log-{named[:32]}", f"{log.name} · {run}", records, link="log", answers=_answers(found))


def _answers(rows: Sequence[Logged]) -> pd.DataFrame:
    """Return what a service answered, as the picker takes it."""
    columns = ("id", "strategy", "prediction", "confidence", "label")
    table = pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=list(columns))
    return table.assign(status="ok")


def cause_of(opened: Store, record: Record) -> Mapping[str, Any] | None:
    """Return what a diagnosis of the log named as the cause of a record: cause, rule, said; None without one."""
    found: pd.DataFrame = caused.causes_of(opened, [record.id])
    return None if found.empty else {str(k): v for k, v in found.to_dict("records")[0].items()}


@st.cache_resource(max_entries=4, show_spinner=False)
def reference(model_folder: str, mark: str, _model: FusedModel) -> Reference:
    """Return what clean records of a model look like; ModelError where nobody made its reference yet."""
    return load_reference(Path(model_folder), _model)
