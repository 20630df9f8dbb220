"""The cards of Triage: when it started, what is failing and why, where, and how the failures lie."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from dashboard import state
from dashboard.desk import Desk, selection
from dashboard.views import charts
from dashboard.views.asked import OF_MANY
from dashboard.views.triage import (
    cause_counts,
    drift_lines,
    finding_caption,
    finding_title,
    first_days,
    head,
    head_html,
    ranked,
)
from fusion_core.types import Finding
from fusion_core.words import cause_words

EVERYTHING = "everything"
NO_DIAGNOSIS = (
    "This run was not diagnosed, so there are no causes to show. Run `python -m fusion_core diagnose --model MODEL "
    "--log LOG`, with `--reference CLEAN` where the model has no reference yet, and reload."
)


def head_card(desk: Desk) -> None:
    """Show the figures on top."""
    calibration = desk.ask("calibration", desk.asked.all_rows())
    failing = desk.ask("by_cause", replace(desk.asked, page=0))
    every = desk.ask("timeline", desk.asked.all_rows())
    st.html(head_html(head(every, failing, desk.diagnosed is not None, calibration.error), desk.failing))


def timeline_card(desk: Desk) -> None:
    """Show rows per day by cause, with the first days of releases; a span that is drawn becomes a filter."""
    chosen = cause_words(desk.asked.cause) if desk.asked.cause else ""
    counts = cause_counts(desk.ask("cause_timeline", desk.asked.everywhere()), {*desk.colours, chosen})
    st.markdown(f"**When did it start?** :small[:gray[{desk.failing} per day by cause; dotted lines are releases]]")
    if counts.empty:
        st.caption("No row with a time is among those asked for.")
        return
    figure = charts.timeline(counts, desk.colours, first_days(desk.days), chosen, desk.failing)
    key = f"timeline {desk.turn}"
    st.plotly_chart(figure, key=key, on_select=partial(_span_chosen, desk, key), selection_mode=("box",))
    st.caption("Draw a box over days to see only those." + ("" if desk.diagnosed else f" {NO_DIAGNOSIS}"))


def _span_chosen(desk: Desk, key: str) -> None:
    boxes = selection(key, "box")
    days = [pd.Timestamp(str(x)).date() for box in boxes for x in box.get("x", ())]
    if days:
        desk.change(replace(desk.asked, since=min(days), until=max(days), page=0))


def _hides(desk: Desk, found: Finding) -> bool:
    """Return whether a finding counts records that are not in view: it tells of right answers too."""
    return desk.asked.rows == "failures" and found.rule not in OF_MANY


def findings_card(desk: Desk) -> None:
    """Show what was found, commonest against all others first; a click shows its records."""
    st.markdown("**What is failing, and why?** :small[:gray[×: how much commoner than elsewhere]]")
    if desk.diagnosed is None:
        st.info(NO_DIAGNOSIS)
        return
    found = ranked(desk.diagnosed.findings)
    if not found:
        st.caption("Nothing happens more often than among clean records.")
    at = next((k for k, one in enumerate(found) if desk.asked.follows(one)), None)
    key = f"findings {desk.turn}"
    st.radio(
        "Findings",
        [-1, *range(len(found))],
        0 if at is None else at + 1,
        format_func=lambda k: EVERYTHING if k < 0 else finding_title(found[k], desk.colours),
        captions=[
            "all causes, slices and days",
            *(finding_caption(one, k == at, _hides(desk, one)) for k, one in enumerate(found)),
        ],
        label_visibility="collapsed",
        key=key,
        on_change=lambda: desk.change(
            desk.asked.follow(found[int(str(state.recall(key)))])
            if int(str(state.recall(key))) >= 0
            else replace(desk.asked, cause="", where={}, since=None, until=None, page=0)
        ),
    )
    drifts = drift_lines(desk.diagnosed.findings)
    if drifts:
        with st.expander(f"Drift in {len(drifts)} modalities" if len(drifts) > 1 else "Drift in 1 modality"):
            st.markdown("\n".join(drifts))
