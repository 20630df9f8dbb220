"""Below the board: what went wrong with the record, judged by its own signals and tested by repair."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import log_session, record_session, session, state
from dashboard.inspection import Inspection
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.views.cause import cause_html, cause_line_html
from dashboard.views.escape import markdown_safe
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.run import diagnose_record
from fusion_core.errors import FusionError
from fusion_core.types import Diagnosis, Record

MINUTES = "This model is large: its signals and every repair are many passes, and it cannot be ended."
LOOKING = "Looking for the cause."


def cause_panel(place: Workplace, opened: OpenSet, content: str, record: Record, found: Inspection) -> None:
    """Show the cause of the open record under the strategy that the model's reference was made with.

    Under a heavy strategy it is looked for when somebody asks.
    """
    parts = record_session.parts(opened, content)
    with st.container(border=True, key="cause"):
        st.markdown("**What went wrong?** :small[:gray[its signals beside those of clean records; repairs tested]]")
        if "diagnosis" not in parts:
            reference = _reference(place)
            asked = ("diagnosis",) in state.noted(content, "deeper")
            if isinstance(reference, Reference) and reference.strategy in found.heavy and not asked:
                note = partial(state.note, content, "deeper", ("diagnosis",))
                st.button("Look for the cause", key="diagnose", type="tertiary", help=MINUTES, on_click=note)
                return
            with st.spinner(LOOKING):
                parts["diagnosis"] = _diagnose(place, opened, record, reference)
        said = parts["diagnosis"]
        if isinstance(said, str):
            st.caption(markdown_safe(said))
            return
        top = next((t.prediction.correct for t in found.traces if t.strategy == said[1]), None)
        st.html(cause_html(said[0], _logged(place, opened, record), None if top is None else not top))


def cause_line(place: Workplace, opened: OpenSet, id: str) -> None:
    """Say above the board which cause the log's diagnosis named for a record of it; nothing where it named none."""
    if opened.link != "log":
        return
    logged = _logged(place, opened, opened.records.find(id))
    if logged is not None and logged[0] != "none none":
        with st.container(key="cause line"):
            st.html(cause_line_html(*logged))


def _reference(place: Workplace) -> Reference | str:
    """Return what clean records look like to a model, or why that is not known."""
    try:
        model = session.model(str(place.model))
        return log_session.reference(str(place.model), model.mark, model)
    except FusionError as error:
        return f"No diagnosis: {error}."


def _diagnose(
    place: Workplace, opened: OpenSet, record: Record, reference: Reference | str
) -> tuple[Diagnosis, str] | str:
    """Return the diagnosis and the strategy it is of, or why there is none."""
    if isinstance(reference, str):
        return reference
    try:
        with session.own_files(opened):
            return diagnose_record(session.model(str(place.model)), reference, record), reference.strategy
    except FusionError as error:
        return f"This record could not be diagnosed: {error}."


def _logged(place: Workplace, opened: OpenSet, record: Record) -> tuple[str, str] | None:
    """Return what the log's own diagnosis said of a record of it: that knew the records before it too."""
    if opened.link != "log" or place.log is None:
        return None
    names = log_session.log_runs(place.log, place.name)
    asked = state.link().get("run", "")
    run = asked if asked in names else names[0]
    found = log_session.cause_of(log_session.store(place.log, run), record)
    return None if found is None else (str(found["cause"]), str(found["said"]))
