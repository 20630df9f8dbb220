"""What every screen asks first: which model, and which record set the address leads to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import log_session, session, state
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import NO_MODEL, NOT_YOURS, no_such_model


def models() -> list[Workplace]:
    """Return the models there are; say so when there is none."""
    places = session.choices()
    if not places:
        st.info(NO_MODEL)
    return places


def asked_place(places: list[Workplace]) -> int:
    """Return which model the address asks for; the first one if none of these, and that is said."""
    names = [place.name for place in places]
    asked = state.link().get("model", "")
    if asked and asked not in names:
        st.warning(markdown_safe(no_such_model(asked)), icon=":material/lock:")
    return names.index(asked) if asked in names else 0


def pick_model(places: list[Workplace], beside: DeltaGenerator) -> Workplace:
    """Place the model picker, which begins at the address, and return the model that is picked."""
    names, key = [place.name for place in places], state.model_key()
    at = beside.selectbox("Model", range(len(names)), asked_place(places), format_func=names.__getitem__, key=key)
    return places[at]


def asked_set(place: Workplace) -> tuple[OpenSet | None, dict[str, str]]:
    """Return the record set the address leads to, and what of the address belongs to it.

    A set that this browser does not have is said so; the model's own stands in.
    """
    asked = state.link()
    if asked.get("set") == "log" and place.log is not None and asked.get("record"):
        return _logged_set(place.log, asked), asked
    opened = session.open_set(place, asked.get("set", ""))
    if asked.get("set") and (opened is None or opened.link != asked["set"]):
        st.warning(NOT_YOURS, icon=":material/lock:")
        asked = {name: value for name, value in asked.items() if name not in ("set", "record", "token")}
    return opened, asked


def _logged_set(log: Path, asked: Mapping[str, str]) -> OpenSet:
    """Return the page of the log that the record was opened from, else the record alone."""
    kept, id = state.recall("log rows"), asked["record"]
    names = log_session.log_runs(log, asked.get("model", ""))
    run = asked["run"] if asked.get("run") in names else names[0] if names else ""
    return log_session.logged_set(log, run, kept if isinstance(kept, tuple) and id in kept else (id,))
