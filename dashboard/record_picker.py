"""The record picker of Inspect and Compare: one line per record of the open set, wrong answers first."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import session, state
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.views.escape import markdown_safe
from dashboard.views.picker import caption, picker

LEAVING = "leaving"


def pick_record(
    place: Workplace, opened: OpenSet, asked: dict[str, str], strategy: str
) -> tuple[list[str], str | None]:
    """Return the ids of the open set, those `strategy` answered wrong first, and the one that was picked."""
    answers, _ = session.answers(str(place.model), opened)
    lines = {choice.id: choice.line for choice in picker(opened.records.rows, answers, strategy)}
    if not lines:
        return [], None
    wanted = asked.get("record", "")
    if wanted and wanted not in lines and asked.get("model") in (None, place.name):
        st.info(f"The link asks for record {markdown_safe(wanted)}, which is not in this set; the first one is shown.")
    order = list(lines)
    label = caption(answers, strategy, opened.records.refusals, len(opened.records), _whose(opened))
    with st.container(key="picker", horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            markdown_safe(label),
            order,
            order.index(wanted) if wanted in lines else 0,
            format_func=lines.__getitem__,
            key=state.picker_key(opened.key),
        )
        at = order.index(chosen)
        for step_name, step in (("Previous", -1), ("Next", 1)):
            other = order[(at + step) % len(order)]
            move = partial(state.go_to, opened, other)
            st.button(step_name, key=f"{step_name} record", on_click=move, disabled=len(order) == 1)
        if opened.upload is not None:
            back = partial(state.move_to, "", "")
            st.button("Back to the record set", on_click=back, key="back", icon=":material/arrow_back:")
        if opened.link == "log":
            st.button("Back to Triage", on_click=leave, key="to triage", icon=":material/arrow_back:")
    return order, chosen


def _whose(opened: OpenSet) -> str | None:
    """Return whose records these are, None for those that came with the model."""
    if opened.answers is not None:
        return f"From the log {opened.name}"
    return f"Your upload {opened.name}" if opened.upload else None


def leave() -> None:
    """Ask for the way back to Triage, on the next run."""
    state.remember(LEAVING, True)


def is_left() -> bool:
    """Return, once, whether the way back to Triage was asked for."""
    left = bool(state.recall(LEAVING))
    state.remember(LEAVING, None)
    return left
