"""The filters of Triage: those that are set, each to be taken back, and a panel that sets others."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import streamlit as st

from dashboard import state
from dashboard.desk import SLICED, Desk
from dashboard.views.asked import EVERY_ROW, ROWS, Asked
from dashboard.views.escape import markdown_safe
from fusion_core.words import cause_words


def filter_bar(desk: Desk) -> None:
    """Show the filters that are set, each to be taken back, and a panel that sets others."""
    asked = desk.asked
    with st.container(horizontal=True, vertical_alignment="center", key="filters"):
        offered = [name for name in ROWS if desk.labelled or name != "failures"]
        key = f"rows {desk.turn}"
        st.segmented_control(
            "Rows",
            offered,
            default=asked.rows,
            format_func=ROWS.__getitem__,
            label_visibility="collapsed",
            key=key,
            on_change=lambda: desk.change(replace(asked, rows=str(state.recall(key) or asked.rows), page=0)),
        )
        for place, (words, without) in enumerate(_chips(asked)):
            st.button(f"{markdown_safe(words)} ✕", key=f"chip {place}", on_click=desk.change, args=(without,))
        with st.popover("Filter", icon=":material/filter_alt:"):
            _filter_panel(desk)


def _chips(asked: Asked) -> list[tuple[str, Asked]]:
    """Return the filters that are set in words, and what is asked without each."""
    found: list[tuple[str, Asked]] = []
    if asked.cause:
        found.append((cause_words(asked.cause), replace(asked, cause="", page=0)))
    for name, value in asked.where.items():
        rest = {n: v for n, v in asked.where.items() if n != name}
        found.append((f"{name}: {value or '(none)'}", replace(asked, where=rest, page=0)))
    if asked.since or asked.until:
        found.append((_days(asked), replace(asked, since=None, until=None, page=0)))
    if asked.search:
        found.append((f"text: {asked.search[:40]}", replace(asked, search="", page=0)))
    return found


def _days(asked: Asked) -> str:
    if asked.since and asked.until:
        return f"{asked.since.isoformat()} to {asked.until.isoformat()}"
    return f"since {asked.since.isoformat()}" if asked.since else f"until {asked.until}"


def _filter_panel(desk: Desk) -> None:
    asked, turn = desk.asked, desk.turn
    where = dict(asked.where)
    with st.form(f"filter form {turn}", border=False):
        for name in dict.fromkeys((*SLICED, *(n for n, kind in desk.slices.items() if kind == "text"))):
            values = [str(v) for v in desk.ask("by_slice", EVERY_ROW, name)["value"].dropna()]
            known = values if where.get(name) in (None, *values) else [where[name], *values]
            if 2 <= len(known) <= 200:
                at = known.index(where[name]) if name in where else None
                picked = st.selectbox(name, known, at, key=f"where {name} {turn}", placeholder="all")
                where = {**where, name: picked} if picked else {n: v for n, v in where.items() if n != name}
        since = st.date_input("from", asked.since, key=f"since {turn}")
        until = st.date_input("to", asked.until, key=f"until {turn}")
        search = st.text_input("text contains", asked.search, key=f"search {turn}", max_chars=200)
        if st.form_submit_button("Show", type="primary"):
            days = [day if isinstance(day, date) else None for day in (since, until)]
            desk.change(replace(asked, where=where, since=days[0], until=days[1], search=search, page=0))
            st.rerun()
