"""Triage: what is failing, since when, where, and why?"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import log_session, session, state
from dashboard.desk import open_desk
from dashboard.options import Workplace
from dashboard.triage_cards import findings_card, head_card, timeline_card
from dashboard.triage_filters import filter_bar
from dashboard.triage_rows import rows_card, unanswered_card
from dashboard.triage_shape import shape_card
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import NO_LOG
from fusion_core.errors import FusionError


def render(inspect: Callable[[], None]) -> None:
    """Place the cards of the log that is open; `inspect` leads to the other screen."""
    place = next((place for place in session.choices() if place.log is not None), None)
    if place is None:
        st.info(NO_LOG)
        return
    try:
        _screen(place, inspect)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")


def _screen(place: Workplace, inspect: Callable[[], None]) -> None:
    _leave(inspect)
    run = _run(place)
    if not run:
        st.info(NO_LOG)
        return
    desk = open_desk(place, run)
    state.write_link(**desk.asked.for_link(desk.labelled), run=run, screen="triage")

    def open_record(id: str) -> None:
        state.write_link(model=place.name, set="log", record=id, screen="inspect", token="")
        state.remember("moves", state.moves() + 1)
        state.remember("to inspect", True)

    with st.container(border=True, key="triage head"):
        head_card(desk)
        filter_bar(desk)
    first, second = st.columns([5, 3])
    with first.container(border=True, key="triage timeline"):
        timeline_card(desk)
    with second.container(border=True, key="triage findings"):
        findings_card(desk)
    third, fourth = st.columns([5, 3])
    with third.container(border=True, key="triage rows"):
        rows_card(desk, open_record)
        unanswered_card(desk)
    with fourth.container(border=True, key="triage shape"):
        shape_card(desk, open_record)
    _foot(desk.store.said, run, place)
    _leave(inspect)


def _leave(inspect: Callable[[], None]) -> None:
    """Go to the other screen if a record was opened: at once where a chart was clicked, at the end for a button."""
    if state.recall("to inspect"):
        state.remember("to inspect", None)
        inspect()


def _run(place: Workplace) -> str:
    """Return the run that is open: the one asked for, else the first; offer the others."""
    assert place.log is not None
    names = log_session.log_runs(place.log, place.name)
    asked = state.link().get("run", "")
    at = names.index(asked) if asked in names else 0
    if len(names) < 2:
        return names[0] if names else ""
    return str(st.selectbox("Run of the log", names, at, key="run", width=320))


def _foot(said: str, run: str, place: Workplace) -> None:
    log = place.log.name if place.log else ""
    st.caption(f"Log {markdown_safe(log)}, run {markdown_safe(run)}: {markdown_safe(said)}. Times are UTC.")
