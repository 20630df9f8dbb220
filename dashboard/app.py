"""Navigation only."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts this folder, not the project, on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from dashboard.options import workplaces

STARTING = "Starting: the first visit loads the libraries."


def triage_screen() -> None:
    """Import inside, as below; a link to a record leads on to where records are shown."""
    with st.spinner(STARTING):
        from dashboard import state
        from dashboard.screens import triage
    state.follow_address()
    _go_where_the_link_leads("triage")
    triage.render(lambda: st.switch_page(INSPECT, query_params=state.link()))


def inspect_screen() -> None:
    """Import inside: torch takes seconds, and the page says so instead of staying blank."""
    with st.spinner(STARTING):
        from dashboard import state
        from dashboard.screens import inspect
    state.follow_address()
    _go_where_the_link_leads("inspect")
    inspect.render(lambda: st.switch_page(TRIAGE, query_params=state.link()))


def compare_screen() -> None:
    """The same, for all strategies side by side."""
    with st.spinner(STARTING):
        from dashboard import state
        from dashboard.screens import compare
    state.follow_address()
    compare.render(
        lambda: st.switch_page(INSPECT, query_params=state.link()),
        lambda: st.switch_page(TRIAGE, query_params=state.link()),
    )


def guide_screen() -> None:
    """The same, for what to choose."""
    with st.spinner(STARTING):
        from dashboard import state
        from dashboard.screens import guide
    state.follow_address()
    guide.render(lambda screen: st.switch_page(SCREENS[screen], query_params=state.link()))


def fit_screen() -> None:
    """The same; what is fitted can be opened on the other screens."""
    with st.spinner(STARTING):
        from dashboard import state
        from dashboard.screens import fit
    state.follow_address()
    fit.render(tuple(SCREENS), lambda screen: st.switch_page(SCREENS[screen], query_params=state.link()))


def present_screen() -> None:
    """The same, for a room."""
    with st.spinner(STARTING):
        from dashboard.screens import present
    present.render()


def first_screen() -> None:
    """Lead on from the first screen's own name, under which Streamlit does not serve a default page."""
    with st.spinner(STARTING):
        from dashboard import state
    st.switch_page(TRIAGE if LOGGED else INSPECT, query_params=state.link())


def _go_where_the_link_leads(here: str) -> None:
    from dashboard import state

    screen = state.arrival()
    if screen in SCREENS and screen != here:
        st.switch_page(SCREENS[screen], query_params=state.link())


LOGGED = any(place.log is not None for place in workplaces(sys.argv[1:]))
# A default page is served at the root alone: its own name must be that of another page, which leads on to it.
TRIAGE = st.Page(triage_screen, title="Triage", url_path="home" if LOGGED else "triage", default=LOGGED)
INSPECT = st.Page(inspect_screen, title="Inspect", url_path="inspect" if LOGGED else "home", default=not LOGGED)
COMPARE = st.Page(compare_screen, title="Compare", url_path="compare")
FIT = st.Page(fit_screen, title="Fit", url_path="fit")
GUIDE = st.Page(guide_screen, title="Which fusion", url_path="guide")
PRESENT = st.Page(present_screen, title="Present", url_path="present")
BY_NAME = st.Page(
    first_screen,
    title="Triage" if LOGGED else "Inspect",
    url_path="triage" if LOGGED else "inspect",
    visibility="hidden",
)
SCREENS = {"inspect": INSPECT, "compare": COMPARE, "fit": FIT, "guide": GUIDE, "present": PRESENT}

st.set_page_config(page_title="Fusion Lens", page_icon=str(Path(__file__).with_name("logo.svg")), layout="wide")
st.logo(str(Path(__file__).with_name("wordmark.svg")), size="large")
st.html(Path(__file__).with_name("style.css"))
st.navigation([TRIAGE, INSPECT, COMPARE, FIT, GUIDE, PRESENT, BY_NAME], position="top").run()
