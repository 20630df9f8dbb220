"""Navigation only."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts this folder, not the project, on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

STARTING = "Starting: the first visit loads the libraries."


def inspect_screen() -> None:
    """Import inside: torch takes seconds, and the page says so instead of staying blank."""
    with st.spinner(STARTING):
        from dashboard import state
        from dashboard.screens import inspect
    state.follow_address()
    if state.arrives_at("present"):
        st.switch_page(PRESENT, query_params=state.link())
    inspect.render()


def present_screen() -> None:
    """The same, for a room."""
    with st.spinner(STARTING):
        from dashboard.screens import present
    present.render()


INSPECT = st.Page(inspect_screen, title="Inspect", url_path="inspect", default=True)
PRESENT = st.Page(present_screen, title="Present", url_path="present")

st.set_page_config(page_title="Fusion Lens", page_icon=str(Path(__file__).with_name("logo.svg")), layout="wide")
st.logo(str(Path(__file__).with_name("wordmark.svg")), size="large")
st.html(Path(__file__).with_name("style.css"))
st.navigation([INSPECT, PRESENT], position="top").run()
