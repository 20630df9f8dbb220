"""Below the board: what went wrong with the record, judged by its own signals and tested by repair."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import log_session, record_session, session, state
from dashboard.inspection import Inspection
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.views.cause import cause_html, cause_line_html
from dashboard.views.escape import markdown_safe
from fusion_core.diagnose.run import diagnose_record
from fusion_core.errors import FusionError, ModelError
from fusion_core.types import Record


def cause_panel(place: Workplace, opened: OpenSet, content: str, record: Record, found: Inspection) -> None:
    """Show the cause of the open record under the strategy that the model's reference was made with."""
    parts = record_session.parts(opened, content)
    if "diagnosis" not in parts:
        parts["diagnosis"] = _diagnose(place, opened, record)
    said = parts["diagnosis"]
    with st.container(border=True, key="cause"):
        st.markdown("**What went wrong?** :small[:gray[its signals beside those of clean records; repairs tested]]")
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


def _diagnose(place: Workplace, opened: OpenSet, record: Record) -> tuple[Any, str] | str:
    """Return the diagnosis and the strategy it is of, or why there is none."""
    try:
        model = session.model(str(place.model))
        reference = log_session.reference(str(place.model), model.mark, model)
        with session.own_files(opened):
            return diagnose_record(model, reference, record), reference.strategy
    except ModelError as error:
        return f"No diagnosis: {error}."
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
