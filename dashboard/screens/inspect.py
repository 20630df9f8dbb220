"""Inspect: why did this record get this answer?"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import session, state
from dashboard.cause_panel import cause_line
from dashboard.options import Workplace
from dashboard.record_panel import record_panel, selection
from dashboard.record_picker import is_left, pick_record
from dashboard.screens.opening import asked_set, models, pick_model
from dashboard.screens.upload import offer_upload, show_left_out
from dashboard.uploads import OpenSet
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import METHODS, waiting
from dashboard.views.summary import summary
from fusion_core.errors import FusionError


def render(triage: Callable[[], None]) -> None:
    """Place the pickers and the board; say in one sentence what stands in the way. `triage` leads back to a log."""
    places = models()
    if not places:
        return
    try:
        if is_left():
            triage()
        _screen(places)
    except FusionError as error:
        st.error(markdown_safe(str(error)))


def _screen(places: list[Workplace]) -> None:
    with st.container(key="bar"):
        first, second, third = st.columns([3, 16, 3], vertical_alignment="bottom")
        place = pick_model(places, first)
        loaded = session.model(str(place.model))
        with third:
            offer_upload(loaded)
        opened, asked = asked_set(place)
        if opened is None:
            st.info("This model came without records. Upload one: any of its modalities may be absent.")
            return
        with second:
            order, chosen = pick_record(place, opened, asked, selection(loaded).strategy)
    if opened.upload is not None:
        show_left_out(opened.upload)
    with st.container(key="read", horizontal=True, vertical_alignment="center"):
        _offer_answers(place, opened)
    if chosen is None:
        st.warning("No row of this record set could be read.")
        return
    cause_line(place, opened, chosen)
    state.remember("order", None)  # a presenter begins with the order of this screen
    record_panel(place, opened, chosen, order, presenting=False)
    with st.container(key="below"), st.expander("How to read this"):
        st.markdown(METHODS)


def _offer_answers(place: Workplace, opened: OpenSet) -> None:
    """Offer to answer a record set that came without answers, so that what is wrong can come first."""
    count = len(opened.records.records)
    if count < 2 or session.answers(str(place.model), opened)[0] is not None:
        return
    asked = st.button(f"Answer all {count:,} records", key="answer all", type="tertiary", icon=":material/checklist:")
    beside = st.empty()
    whole = f"{summary(len(opened.records), 0, 0)} " if opened.upload and not opened.upload.left_out else ""
    beside.caption(f"{whole}Once answered, the wrong ones stand first and similar records are found.")
    if not asked:
        return
    session.answer_all(
        str(place.model),
        opened,
        lambda done, of: beside.progress(done / of, text=f"Answered {done:,} of {of:,} records."),
        lambda ahead: beside.caption(waiting(ahead)),
    )
    state.go_to(opened, "")  # open on the first of the wrong ones
    st.rerun()
