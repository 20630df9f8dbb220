"""Present: the same record for a room to read, and a list to walk through by keyboard."""

from __future__ import annotations

import streamlit as st

from dashboard import session
from dashboard.record_panel import record_panel, selection
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import NOT_YOURS
from dashboard.views.picker import picker
from fusion_core.errors import FusionError


def render() -> None:
    """Show the record of the address in large type; without one, the first of the set."""
    asked = session.link()
    places = session.choices()
    place = next((p for p in places if p.name == asked.get("model")), places[0] if places else None)
    if place is None:
        st.info("There is no model to show. Run `python -m sample_data.make`, or start with `--model BUNDLE`.")
        return
    try:
        loaded = session.model(str(place.model))
        opened = session.open_set(place, asked.get("set", ""))
        if asked.get("set") and (opened is None or opened.upload is None):
            st.warning(NOT_YOURS, icon=":material/lock:")
        if opened is None or not opened.records.records:
            st.info("There is no record to present. Open Inspect and upload one.")
            return
        answers, _ = session.answers(str(place.model), opened)
        choices = picker(opened.records.rows, answers, selection(loaded).strategy)
        order = session.kept_order(opened.key, [choice.id for choice in choices])
        wanted = asked.get("record", "")
        record = opened.records.find(wanted if wanted in order else order[0])
        record_panel(place, loaded, opened, record, order, presenting=True)
        with st.container(key="below"):
            st.caption("The list is that of Inspect: records answered wrong first. Leave by the tab above.")
    except FusionError as error:
        st.error(markdown_safe(str(error)))
