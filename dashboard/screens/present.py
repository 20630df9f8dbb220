"""Present: the same record for a room to read, and a list to walk through by keyboard."""

from __future__ import annotations

import streamlit as st

from dashboard import session, state
from dashboard.record_panel import record_panel, selection
from dashboard.screens.opening import asked_place, asked_set, models
from dashboard.views.escape import markdown_safe
from dashboard.views.picker import picker
from fusion_core.errors import FusionError


def render() -> None:
    """Show the record of the address in large type; without one, the first of the set."""
    state.follow_address()
    places = models()
    if not places:
        return
    place = places[asked_place(places)]
    try:
        loaded = session.model(str(place.model))
        opened, asked = asked_set(place)
        if opened is None or not opened.records.records:
            st.info("There is no record to present. Open Inspect and upload one.")
            return
        answers, _ = session.answers(str(place.model), opened)
        choices = picker(opened.records.rows, answers, selection(loaded).strategy)
        order = state.kept_order(opened.key, [choice.id for choice in choices])
        wanted = asked.get("record", "")
        record_panel(place, opened, wanted if wanted in order else order[0], order, presenting=True)
        with st.container(key="below"):
            st.caption("The list is that of Inspect: records answered wrong first. Leave by the tab above.")
    except FusionError as error:
        st.error(markdown_safe(str(error)))
