"""What the caches keep of one record: of an upload for its session only, of the operator's records for all sessions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.inspection import Inspection, content_key, glimpse, inspect_record, similar_to
from dashboard.session import answers, model, own_files
from dashboard.uploads import OpenSet
from dashboard.views.board import Board, Later, StrategyCard, payload
from dashboard.views.labels import LABELS
from dashboard.views.media import webp_uri
from dashboard.views.sketch import Picture
from fusion_core.types import Record

SMALL, ROW_HEIGHT = 220, 88  # pixels


@st.cache_resource(max_entries=24, scope="session", show_spinner=False)
def _own_inspection(model_folder: str, key: str, _record: Record) -> Inspection:
    return inspect_record(model(model_folder), _record)


@st.cache_resource(max_entries=48, show_spinner=False)
def _shared_inspection(model_folder: str, key: str, _record: Record) -> Inspection:
    return inspect_record(model(model_folder), _record)


def inspection(model_folder: str, opened: OpenSet, record: Record) -> Inspection:
    """Trace a record under every strategy; raises RecordError when it cannot be read."""
    inspected = _own_inspection if opened.upload else _shared_inspection
    with own_files(opened):
        return inspected(model_folder, content_key(record), record)


@st.cache_resource(max_entries=8, scope="session", show_spinner=False)
def _own_parts(content: str) -> dict[object, Any]:
    return {}


@st.cache_resource(max_entries=48, show_spinner=False)
def _shared_parts(content: str) -> dict[object, Any]:
    return {}


def parts(opened: OpenSet, content: str) -> dict[object, Any]:
    """Return what is worked out of a record so far, each part under its name, for more to be added."""
    return (_own_parts if opened.upload else _shared_parts)(content)


@st.cache_resource(max_entries=400, scope="session", show_spinner=False)
def _own_thumbnail(content: str, _record: Record) -> str | None:
    return _thumbnail(_record)


@st.cache_resource(max_entries=800, show_spinner=False)
def _shared_thumbnail(content: str, _record: Record) -> str | None:
    return _thumbnail(_record)


def _thumbnail(record: Record) -> str | None:
    pixels = glimpse(record, ("image",)).pixels
    return None if pixels is None else webp_uri(pixels, ROW_HEIGHT)


def thumbnail(opened: OpenSet, record: Record) -> str | None:
    """Return a record's picture for a row of a table, None without one that can be read."""
    with own_files(opened):
        return (_own_thumbnail if opened.upload else _shared_thumbnail)(content_key(record), record)


def small_picture(opened: OpenSet, record: Record, found: Inspection) -> Picture | None:
    """Return a record's picture in small, with the size its boxes count; None without one."""
    if found.image is None:
        return None
    with own_files(opened):
        pixels = glimpse(record, ("image",)).pixels
    if pixels is None:
        return None
    return Picture(webp_uri(pixels, SMALL), int(found.image["width"]), int(found.image["height"]))


@st.cache_resource(max_entries=24, scope="session", show_spinner=False)
def _similar_records(
    model_folder: str, key: str, set_key: str, leave_out_id: str | None, _found: Inspection, _compared: OpenSet
) -> dict[str, Any] | None:
    table, index = answers(model_folder, _compared)
    if index is None:
        return None
    return similar_to(model(model_folder), _found, index, table, _compared.records, leave_out_id)


def similar_records(
    model_folder: str, opened: OpenSet, record: Record, found: Inspection, compared: OpenSet
) -> dict[str, Any] | None:
    """Return the nearest records of an answered set under each strategy, itself left out where it is of that set."""
    itself = record.id if compared.key == opened.key else None
    with own_files(compared):
        return _similar_records(model_folder, content_key(record), compared.key, itself, found, compared)


@st.cache_resource(max_entries=12, scope="session", show_spinner=False)
def board_content(
    model_folder: str,
    key: str,
    stage: str,
    _found: Inspection,
    _cards: Sequence[StrategyCard],
    _later: Later,
) -> Board:
    """Return what the board shows of an inspection, written out once; `stage` names how much of it is there."""
    whole = payload(
        _found.traces,
        image=_found.image,
        audio=_found.audio,
        strategies=_cards,
        labels=LABELS,
        later=_later,
    )
    return Board(whole["revision"], whole["stage"], json.dumps(whole).encode())
