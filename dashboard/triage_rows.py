"""The rows of Triage, a page at a time, and the one that was selected: seen, heard, and opened."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import log_session, state
from dashboard.desk import Desk, OpenRecord
from dashboard.views.asked import ORDERS, PER_PAGE
from dashboard.views.escape import markdown_safe
from dashboard.views.triage import chosen_sentence, error_sentence, error_table, rows_table
from fusion_core.log.caused import causes_of
from fusion_core.reading.texts import show_text


def rows_card(desk: Desk, open_record: OpenRecord) -> None:
    """Show a page of the rows that are asked for; the one that is selected can be heard, and inspected."""
    total = int(desk.ask("by_cause", replace(desk.asked, page=0))["rows"].sum())  # as asked for on top
    _bar(desk, total)
    if not total:
        st.caption("No row is among those asked for: take a filter back.")
        return
    page = desk.ask("page", desk.asked, ORDERS[desk.asked.order], desk.asked.page * PER_PAGE, PER_PAGE)
    if page.empty:
        desk.change(replace(desk.asked, page=0))
        st.rerun()
    ids = [str(one) for one in page["id"]]
    state.remember("log rows", tuple(ids))
    causes = causes_of(desk.store, ids)
    log = str(desk.store.log)
    pictures = [log_session.thumbnail(log, name) if isinstance(name, str) else None for name in page["image"]]
    event = st.dataframe(
        rows_table(page, causes, pictures),
        hide_index=True,
        row_height=44,
        height=min(380, 38 + 44 * len(page)),
        key=f"log page {desk.turn}",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "image": st.column_config.ImageColumn(width=56),
            "text": st.column_config.TextColumn(width=280),
            "time": st.column_config.DatetimeColumn(format="D MMM, HH:mm", help="UTC"),
            "confidence": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    chosen = event.selection.rows
    if chosen and chosen[0] < len(page):
        _chosen(desk, page.iloc[chosen[0]], causes, open_record)
    else:
        st.caption("Select a row to hear its audio and to open it in Inspect.")


def unanswered_card(desk: Desk) -> None:
    """Name the rows that gave no answer, if there are any: they have no prediction and stand in no chart."""
    rows = desk.asked.all_rows()
    codes = desk.ask("error_codes", rows)
    if codes.empty:
        return
    total = int(codes["rows"].sum())
    with st.expander(f"{total:,} {'row' if total == 1 else 'rows'} without an answer", icon=":material/report:"):
        st.caption(error_sentence(codes))
        st.dataframe(error_table(desk.ask("error_page", rows)), hide_index=True, height="auto")
        st.caption("The newest 50, by the days, release and strategy of the filters: no other column of them is known.")


def _bar(desk: Desk, total: int) -> None:
    asked = desk.asked
    pages = max(1, -(-total // PER_PAGE))
    with st.container(horizontal=True, vertical_alignment="center", key="log bar"):
        st.markdown(f"**Records** :small[:gray[{total:,} {desk.failing}, {asked.order} first]]")
        key = f"order {desk.turn}"
        st.selectbox(
            *("Order", list(ORDERS), list(ORDERS).index(asked.order)),
            label_visibility="collapsed",
            key=key,
            width=170,
            on_change=lambda: desk.change(replace(asked, order=str(state.recall(key)), page=0)),
        )
        back, on = replace(asked, page=max(0, asked.page - 1)), replace(asked, page=asked.page + 1)
        st.button(
            "‹", key="page back", help="Earlier page", on_click=desk.change, args=(back,), disabled=asked.page == 0
        )
        st.caption(f"{min(asked.page + 1, pages):,} of {pages:,}", width="content")
        st.button(
            "›", key="page on", help="Next page", on_click=desk.change, args=(on,), disabled=asked.page + 1 >= pages
        )


def _chosen(desk: Desk, row: pd.Series, causes: pd.DataFrame, open_record: OpenRecord) -> None:
    own = causes[causes["id"] == row["id"]]
    cause = {str(k): v for k, v in own.iloc[0].items()} if len(own) else None
    with st.container(border=True, key="log row"):
        left, middle, right = st.columns([1, 5, 2], vertical_alignment="center")
        log = str(desk.store.log)
        picture = log_session.thumbnail(log, row["image"]) if isinstance(row["image"], str) else None
        if picture:
            left.image(picture, width=72)
        text = markdown_safe(show_text(row["text"])) if isinstance(row["text"], str) else ":gray[no text]"
        middle.markdown(f"{text}\n\n{chosen_sentence(row, cause)}")
        clip = log_session.heard(log, row["audio"]) if isinstance(row["audio"], str) else None
        if clip is not None:
            middle.audio(clip[0], sample_rate=clip[1])
        with right:
            open_it = st.button("Why? Inspect", type="primary", key="inspect row", width="stretch")
            st.caption(f"record {markdown_safe(str(row['id']))}")
        if open_it:
            open_record(str(row["id"]))
