"""Fit: what are the strategies worth on our own data?"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import streamlit as st

from dashboard import session
from dashboard.fit_progress import progress_card
from dashboard.fit_records import begin_anew, pick_records, records_card
from dashboard.fit_result import ended_card
from dashboard.fit_review import review_card
from dashboard.fit_run import JOB, FitResult
from dashboard.fit_settings import settings_card
from dashboard.fit_sources import UPLOAD
from dashboard.screens.opening import asked_place
from dashboard.screens.upload import set_panel, show_left_out
from dashboard.views.escape import markdown_safe
from fusion_core.errors import FusionError

STYLE = Path(__file__).parents[1] / "fit.css"


def render(screens: Collection[str], leave: Callable[[str], None]) -> None:
    """Place the cards. screens: those that a fitted model can be opened on; `leave` leads there."""
    st.html(STYLE)
    try:
        _screen(screens, leave)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")


def _screen(screens: Collection[str], leave: Callable[[str], None]) -> None:
    left, right = st.columns([2, 3])
    places, job = session.choices(), session.job(JOB)
    busy = job is not None and not job.ended
    with left.container(border=True, key="fit setup"):
        st.markdown("**What shall be fitted?** :small[:gray[frozen encoders, one new head per strategy]]")
        found = pick_records(places, places[asked_place(places)] if places else None, _offer_upload, show_left_out)
    if job is not None:
        with right.container(border=True, key="fit job"):
            if busy:
                progress_card(job)
            else:
                ended_card(job, screens, leave)
    if found is None:
        return
    with right.container(border=True, key="fit set"):
        ready = records_card(found)
    with left.container(border=True, key="fit choices"):
        settings_card(found, ready, busy)
    if found.teacher is None and places and ready.counted.learned and not busy:
        with st.container(border=True, key="fit review"):
            fitted = job.latest if job is not None and isinstance(job.latest, FitResult) else None
            review_card(found, places, fitted)


def _offer_upload() -> None:
    """Place the button that opens the panel; what it read is picked."""
    if st.button("Upload", key="fit upload", icon=":material/upload:"):
        set_panel(lambda key: begin_anew(UPLOAD + key))
