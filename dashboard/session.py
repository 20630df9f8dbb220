"""Every cache of the dashboard."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.inspection import Training, content_key, glimpse
from dashboard.jobs import Job, Jobs, Work
from dashboard.opened_models import OpenedModels
from dashboard.options import Workplace, allows_hub, encoder_folders, kept_models, workplaces
from dashboard.own_bundles import Bundles
from dashboard.state import recall, remember
from dashboard.turns import Turns
from dashboard.uploads import File, OpenSet, Shelf, Upload, browser_of, nothing_read, one_record, readable_part
from dashboard.uploads import record_set as checked_set
from dashboard.views.similar import Glimpse
from fusion_core.answer_table import answer_table, load_answers
from fusion_core.answers import Answer, answer_rows
from fusion_core.asked import Asked
from fusion_core.encoders import EncoderRoots
from fusion_core.errors import RecordError
from fusion_core.foreign import is_foreign, takes_prompt
from fusion_core.influence import load_influence
from fusion_core.model import FusedModel
from fusion_core.neighbours import FusedIndex, build_index, load_index
from fusion_core.opening import open_fused
from fusion_core.reading.pool import reading_for
from fusion_core.reading.records import RecordSet, read
from fusion_core.types import Failure, Record

LOADING = "Loading the model and checking its weights: this takes a few seconds."
CHUNK = 16
ENOUGH = 20  # records a set needs, for similar ones to be looked for in it


# --- what the operator named: loaded once for all sessions ---------------------------------------------------------


def choices() -> list[Workplace]:
    """Return the models the operator opened the dashboard with, then those that this browser fitted."""
    own = (Workplace(bundle.folder, bundle.records) for bundle in bundles().of(browser()))
    return [*workplaces(sys.argv[1:]), *own]


def encoder_roots() -> EncoderRoots:
    """Return where encoders may be read from: the operator's folders and models, then the tool's own."""
    models = (place.model for place in workplaces(sys.argv[1:]) if is_foreign(place.model))
    folders = (*encoder_folders(sys.argv[1:]), *models, *EncoderRoots().folders)
    return EncoderRoots(folders, allows_hub(sys.argv[1:]))


@st.cache_resource(show_spinner=False)
def opened_models() -> OpenedModels:
    """Return the models that are open: no other cache holds one, nor anything that leads to one."""
    return OpenedModels(kept_models(sys.argv[1:]))


def model(folder: str) -> FusedModel:
    """Return a model with its encoders, loaded once for all sessions; anew where it made room for others since."""
    # What is open is found at once: to look up where it came from takes as long as a swap may.
    return opened_models().find(folder) or opener(folder, partial(st.spinner, LOADING))()


def opener(folder: str, saying: Callable[[], AbstractContextManager[object]] = nullcontext) -> Callable[[], FusedModel]:
    """Return what `model` returns, to be called later and elsewhere: what the browser may open is known now.

    saying: what is entered while the model is loaded.
    """
    place = next((place for place in choices() if str(place.model) == folder), Workplace(Path(folder), None))
    return partial(opened_models().get, folder, partial(_load, place, encoder_roots(), saying))


def _load(place: Workplace, roots: EncoderRoots, saying: Callable[[], AbstractContextManager[object]]) -> FusedModel:
    """Load a model; a foreign one draws its donors from its record set."""
    asked = place.asked if place.asked.object or is_foreign(place.model) else Asked()
    if asked.prompt and not asked.object and not takes_prompt(place.model):
        asked = replace(asked, prompt="")  # it is for the decoders beside it
    drawn = None if place.records is None else (lambda: record_set(str(place.records)).records)
    with saying():
        loaded = open_fused(place.model, roots, asked, drawn)
        _ = loaded.stack.encoders
    return loaded


@st.cache_resource(max_entries=4, show_spinner="Reading the record set.")
def record_set(folder: str) -> RecordSet:
    """Read a record set the operator named, once for all sessions."""
    return read(Path(folder))


@st.cache_resource(max_entries=8, show_spinner=False)
def saved_answers(model_folder: str, records_folder: str) -> tuple[pd.DataFrame | None, FusedIndex | None]:
    """Return the answers and fused vectors saved beside the records, if this very model gave them."""
    folders = Path(model_folder), Path(records_folder)
    return load_answers(*folders), load_index(*folders)


@st.cache_resource(max_entries=4, show_spinner=False)
def training(model_folder: str, folder: str) -> Training | None:
    """Return records a model was fitted on, with the index beside them; None without one that belongs to the model."""
    index = load_influence(Path(model_folder), Path(folder)) if folder else None
    return Training(read(Path(folder)), index) if index is not None else None


@st.cache_resource(max_entries=128, show_spinner=False)
def training_glimpse(model_folder: str, folder: str, id: str) -> Glimpse:
    """Return what is shown of one training record."""
    kept = training(model_folder, folder)
    assert kept is not None
    return glimpse(kept.records.find(id), model(model_folder).modalities)


@st.cache_resource(show_spinner=False)
def turns() -> Turns:
    """Return the line in which heavy jobs of all sessions wait."""
    return Turns()


@st.cache_resource(show_spinner=False)
def _jobs() -> Jobs:
    return Jobs(turns())


def start_job(name: str, work: Work) -> Job:
    """Start long work of this browser, unless its job of that name is under way."""
    return _jobs().start(browser(), name, work)


def job(name: str) -> Job | None:
    """Return this browser's job of that name; None without one."""
    return _jobs().find(browser(), name)


# --- uploads: kept by the server, seen only by the browser that made them -------------------------------------------


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf()


@st.cache_resource(show_spinner=False)
def bundles() -> Bundles:
    """Return the models that browsers fitted."""
    return Bundles()


def browser() -> str:
    """Name the browser behind this session; a session without the server's cookie is known by itself alone."""
    named = browser_of(st.context.cookies.get("_streamlit_xsrf", ""))
    if named is None:
        named = str(recall("browser") or secrets.token_hex(16))
        remember("browser", named)
    return named


def keep_upload(upload: Upload) -> str:
    """Keep an upload for this browser and return its key."""
    return _shelf().keep(browser(), upload)


def own_sets() -> dict[str, Upload]:
    """Return the record sets that this browser uploaded, by key, the newest first."""
    return {key: upload for key, upload in _shelf().of(browser()).items() if len(upload.records) > 1}


def own_files(opened: OpenSet | None = None) -> AbstractContextManager[None]:
    """Read files of an upload, this one or a new one, in processes that read for no other browser."""
    return file_reader(opened)()


def file_reader(opened: OpenSet | None = None) -> Callable[[], AbstractContextManager[None]]:
    """Return what `own_files` returns, to be entered later and elsewhere: the browser is known now."""
    return partial(reading_for, "" if opened and not opened.upload else browser())


def uploaded_record(loaded: FusedModel, text: str, image: File | None, audio: File | None, label: str | None) -> Upload:
    """Make a record of its parts; raises RecordError when there are none, or none can be read."""
    with own_files():
        return one_record(loaded, text, image, audio, label)


def uploaded_set(
    modalities: Sequence[str],
    file: File,
    progress: Callable[[int, int], object],
    waiting: Callable[[int], object],
) -> Upload:
    """Read and check a record set, a few rows at a time; raises CallError when it cannot be read as a whole."""
    with own_files():
        return checked_set(modalities, file, progress, lambda: turns().take(waiting))


def open_set(place: Workplace, key: str) -> OpenSet | None:
    """Return what `key` leads this browser to: an upload, or what it fitted a model on; else the model's own records.

    A model that was fitted here has the records it was fitted on for its own. None without any.
    """
    wanted = key or bundles().link(browser(), place.model)
    upload = _shelf().find(browser(), wanted) if wanted else None
    if upload is not None:
        return OpenSet(wanted, upload.name, upload.records, upload, wanted)
    if (fitted := bundles().set_of(browser(), wanted)) is not None:
        return fitted
    if place.records is None:
        return None
    return OpenSet(str(place.records), place.records.name, record_set(str(place.records)))


@st.cache_resource(max_entries=96, scope="session", show_spinner=False)
def _part_for(modalities: tuple[str, ...], key: str, _record: Record) -> Record:
    part, unread = readable_part(_record, modalities)
    if not set(part.present()) & set(modalities):
        refusal = unread[0] if unread else nothing_read(_record, modalities)
        raise RecordError(refusal.message, refusal.code, refusal.id)
    return part


def opened_record(loaded: FusedModel, opened: OpenSet, id: str) -> Record:
    """Return a record as this model can read it: an upload was checked for the model it was made with only.

    Raises RecordError when there is nothing in it that this model reads.
    """
    record = opened.records.find(id)
    if opened.upload is None:
        return record
    with own_files(opened):
        return _part_for(loaded.modalities, content_key(record), record)


# --- answers to whole record sets -----------------------------------------------------------------------------------


@st.cache_resource(max_entries=1_024, show_spinner=False, scope="session")
def _answered(model_folder: str, key: str, start: int, _records: RecordSet) -> list[Answer | Failure]:
    """Answer one chunk of a record set: what is done stays done when the page is left in the middle."""
    loaded = model(model_folder)
    return list(answer_rows(loaded, _records.rows[start : start + CHUNK], loaded.strategies))


def answer_all(
    model_folder: str, opened: OpenSet, progress: Callable[[int, int], object], waiting: Callable[[int], object]
) -> None:
    """Answer the whole record set under every strategy for `answers`, reporting rows done and rows in all.

    The turn is given back after every chunk: a long set holds nobody up for longer than that.
    """
    found: list[Answer | Failure] = []
    for start in range(0, len(opened.records), CHUNK):
        progress(start, len(opened.records))
        with own_files(opened), turns().take(waiting):
            found += _answered(model_folder, opened.key, start, opened.records)
    good = [answer for answer in found if isinstance(answer, Answer)]
    remember(f"answers · {model_folder} · {opened.key}", (answer_table(found), build_index(good)))


def answers(model_folder: str, opened: OpenSet) -> tuple[pd.DataFrame | None, FusedIndex | None]:
    """Return the answers to a record set and where they lie: the saved ones, else those this session asked for."""
    if opened.answers is not None:
        return opened.answers, None
    saved = (None, None) if opened.upload else saved_answers(model_folder, opened.key)
    fresh = recall(f"answers · {model_folder} · {opened.key}")
    return fresh if saved[0] is None and isinstance(fresh, tuple) else saved


def answered_set(place: Workplace, opened: OpenSet) -> OpenSet | None:
    """Return the answered set that similar records are looked for in: the open one, or the model's own.

    In a set of a few records the nearest one need not be near at all: the model's own comes first there.
    """
    own = open_set(place, "")
    candidates = [opened, own] if len(opened.records.records) >= ENOUGH else [own, opened]
    for candidate in candidates:
        if candidate is not None and answers(str(place.model), candidate)[1] is not None:
            return candidate
    return None
