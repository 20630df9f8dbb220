"""Every cache, all session state and all query parameters of the dashboard."""

from __future__ import annotations

import gc
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.inspection import (
    Attributions,
    Inspection,
    explain_at_input,
    explain_classes,
    inspect_record,
    similar_to,
)
from dashboard.options import Workplace, workplaces
from dashboard.turns import Turns
from dashboard.uploads import OpenSet, Shelf, Upload, browser_of
from dashboard.views.board import Board, StrategyCard, payload
from dashboard.views.labels import LABELS
from fusion_core import bundle
from fusion_core.answer_table import answer_table, load_answers
from fusion_core.answers import Answer, answer_rows
from fusion_core.model import FusedModel
from fusion_core.neighbours import FusedIndex, build_index, load_index
from fusion_core.reading.records import RecordSet, read
from fusion_core.types import Attribution, Failure, Record

CHUNK = 16
LINK = (
    "model", "set", "record", "screen", "strategy", "token", "view", "target", "seam", "direction", "layer", "head",
    "beside",
)  # fmt: skip


# --- what the operator named: loaded once for all sessions ---------------------------------------------------------


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
def saved_answers(model_folder: str, records_folder: str) -> tuple[pd.DataFrame | None, FusedIndex | None]:
    """Return the answers and fused vectors saved beside the records, if this very model gave them."""
    folders = Path(model_folder), Path(records_folder)
    return load_answers(*folders), load_index(*folders)


@st.cache_resource(show_spinner=False)
def turns() -> Turns:
    """Return the line in which heavy jobs of all sessions wait."""
    return Turns()


# --- uploads: kept by the server, seen only by the browser that made them -------------------------------------------


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf()


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


def open_set(place: Workplace, key: str) -> OpenSet | None:
    """Return the upload `key` of this browser, else the records that came with the model; None without either."""
    upload = _shelf().find(browser(), key) if key else None
    if upload is not None:
        return OpenSet(key, upload.name, upload.records, upload)
    if place.records is None:
        return None
    return OpenSet(str(place.records), place.records.name, record_set(str(place.records)))


# --- answers to whole record sets -----------------------------------------------------------------------------------


@st.cache_resource(max_entries=1_024, show_spinner=False, scope="session")
def _answered(model_folder: str, key: str, start: int, _records: RecordSet) -> list[Answer | Failure]:
    """Answer one chunk of a record set: what is done stays done when the page is left in the middle."""
    loaded = model(model_folder)
    return list(answer_rows(loaded, _records.rows[start : start + CHUNK], loaded.strategies))


def answer_all(
    model_folder: str, opened: OpenSet, progress: Callable[[int, int], object], waiting: Callable[[int], object]
) -> None:
    """Answer the whole record set under every strategy for `answers`, reporting rows done and rows in all."""
    found: list[Answer | Failure] = []
    with turns().take(waiting):
        for start in range(0, len(opened.records), CHUNK):
            progress(start, len(opened.records))
            found += _answered(model_folder, opened.key, start, opened.records)
    good = [answer for answer in found if isinstance(answer, Answer)]
    remember(f"answers · {model_folder} · {opened.key}", (answer_table(found), build_index(good)))


def answers(model_folder: str, opened: OpenSet) -> tuple[pd.DataFrame | None, FusedIndex | None]:
    """Return the answers to a record set and where they lie: the saved ones, else those this session asked for."""
    saved = (None, None) if opened.upload else saved_answers(model_folder, opened.key)
    fresh = recall(f"answers · {model_folder} · {opened.key}")
    return fresh if saved[0] is None and isinstance(fresh, tuple) else saved


def answered_set(place: Workplace, opened: OpenSet) -> OpenSet | None:
    """Return the set that similar records are looked for in: the open one, or the model's own, if it is answered."""
    for candidate in (opened, open_set(place, "")):
        if candidate is not None and answers(str(place.model), candidate)[1] is not None:
            return candidate
    return None


# --- one record: everything here is kept for this session only ------------------------------------------------------


@st.cache_resource(max_entries=24, scope="session", show_spinner=False)
def inspection(model_folder: str, key: str, _record: Record) -> Inspection:
    """Trace a record under every strategy; `key` names its content. Raises RecordError when it cannot be read."""
    return inspect_record(model(model_folder), _record)


@st.cache_resource(max_entries=96, scope="session", show_spinner=False)
def classes_explained(model_folder: str, key: str, classes: tuple[str, ...], _found: Inspection) -> Attributions:
    """Attribute a few more classes of a record at the fusion seam."""
    with turns().take():
        return explain_classes(model(model_folder), _found, classes)


def at_input(
    model_folder: str, key: str, strategy: str, target: str, found: Inspection, waiting: Callable[[int], object]
) -> tuple[Attribution, ...]:
    """Attribute one class of one strategy at the input seam, kept while its record is open.

    Not a cached function: while it waits for its turn it says so on the screen, which a cache would say again.
    """
    kept = recall("at input")
    done = kept[1] if isinstance(kept, tuple) and kept[0] == model_folder + key else {}
    if (strategy, target) not in done:
        with turns().take(waiting):
            done[strategy, target] = explain_at_input(model(model_folder), found, strategy, target)
    remember("at input", (model_folder + key, done))
    return done[strategy, target]


@st.cache_resource(max_entries=24, scope="session", show_spinner=False)
def similar_records(
    model_folder: str, key: str, set_key: str, _found: Inspection, _compared: OpenSet
) -> dict[str, Any] | None:
    """Return the nearest records of an answered set under each strategy."""
    table, index = answers(model_folder, _compared)
    return None if index is None else similar_to(model(model_folder), _found, index, table, _compared.records)


@st.cache_resource(max_entries=48, scope="session", show_spinner=False)
def board_content(
    model_folder: str,
    key: str,
    stage: str,
    _found: Inspection,
    _cards: Sequence[StrategyCard],
    _more: Attributions,
    _similar: dict[str, Any] | None,
) -> Board:
    """Return what the board shows of an inspection, written out once; `stage` names how much of it is there."""
    whole = payload(
        _found.traces,
        image=_found.image,
        audio=_found.audio,
        strategies=_cards,
        labels=LABELS,
        more=_more,
        similar=_similar,
    )
    return Board(whole["revision"], whole["stage"], json.dumps(whole).encode())


# --- session state and the address ----------------------------------------------------------------------------------


def remember(name: str, value: object) -> None:
    """Keep a value for this session."""
    st.session_state[name] = value


def recall(name: str) -> object:
    """Return a value kept for this session; None if there is none."""
    return st.session_state.get(name)


def link() -> dict[str, str]:
    """Return what the address asks for; where a change of screens emptied it, what it asked for before."""
    asked = {name: str(value)[:300] for name, value in st.query_params.items() if name in LINK}
    before = recall("link")
    return asked or (dict(before) if isinstance(before, dict) else {})


def write_link(**parts: str) -> None:
    """Write parts of the address; an empty value removes its part."""
    written = {name: value for name, value in (link() | parts).items() if value}
    remember("link", written)
    for name in LINK:
        value = written.get(name, "")
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def arrives_at(screen: str) -> bool:
    """Return whether a link leads a new session to this screen: once, so that leaving it again stays possible."""
    first = recall("arrived") is None
    remember("arrived", True)
    return first and st.query_params.get("screen") == screen


def go_to(opened: OpenSet, id: str) -> None:
    """Make another record the one that is shown, from the next run on; an empty id means the first of its set."""
    write_link(set=opened.key if opened.upload else "", record=id, token="")
    remember("moves", moves() + 1)


def picker_key(set_key: str) -> str:
    """Name the record picker of a set: a new one, that begins at the address, each time `go_to` moved it."""
    return f"record · {set_key} · {moves()}"


def fills(content: str) -> int:
    """Return how often the board asked for more of this record since it was opened."""
    kept = recall("fills")
    return kept[1] if isinstance(kept, tuple) and kept[0] == content else 0


def fill_more(content: str) -> None:
    """Note that the board asked for more of this record."""
    remember("fills", (content, fills(content) + 1))


def kept_order(set_key: str, order: list[str]) -> list[str]:
    """Return the order in which a presenter began to walk through a set: a swap of strategy must not shuffle it."""
    kept = recall("order")
    if isinstance(kept, tuple) and kept[0] == set_key and set(kept[1]) == set(order):
        return list(kept[1])
    remember("order", (set_key, order))
    return order


def moves() -> int:
    """Return how often `go_to` has moved to another record: what was clicked before belongs to the one before."""
    count = recall("moves")
    return count if isinstance(count, int) else 0
