"""What would have changed: which failures of today another strategy answers rightly, and which right ones it breaks."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from dashboard import record_session, session, state
from dashboard.compare_desk import CompareDesk
from dashboard.desk import selection
from dashboard.views.changed import (
    KINDS,
    Outcome,
    View,
    by_record,
    changed_ids,
    changed_table,
    columns_of,
    in_view,
    outcomes,
    outcomes_html,
    recommendation,
    view_words,
)
from dashboard.views.labels import say, waiting

PER_PAGE = 25
CHANCE = "chance"


def changed_part(desk: CompareDesk) -> None:
    """Show what every other strategy would have changed, and the records, each a click away from Inspect."""
    answers = desk.answers
    if answers is None:
        _offer_answers(desk)
        return
    wide = by_record(answers)
    if wide.empty:
        st.info("No record of this set has a label, so it cannot be known which answers were wrong.")
        return
    offered = [name for name in desk.loaded.strategies if desk.loaded.fitted[name].status != CHANCE]
    if desk.today not in offered:
        st.info(
            f"{say(desk.today).capitalize()} is at chance level: choose another strategy as the one that runs today."
        )
        return
    records = {record.id: record for record in desk.opened.records.records}
    with st.container(border=True, key="compare box changed"):
        st.markdown("**What would another strategy have changed?**")
        view = _filters(desk, wide)
        kept = in_view(wide, desk.today, view, records)
        found = outcomes(kept, desk.today, offered)
        if not found:
            st.caption(
                "No record is in view: take a filter back." if kept.empty else "This model has no other strategy."
            )
            return
        paces = session.paces(desk.folder)
        st.html('<div class="lead"></div>')
        st.markdown(f"#### {recommendation(found, desk.today, paces)}")
        chosen = _pick_other(found)
        st.html(outcomes_html(found, desk.today, chosen, paces))
        st.caption(
            f"{len(kept):,} records in view ({view_words(view)}), {found[0].against.failures:,} of them answered "
            f"wrongly by {say(desk.today)} today. Accuracy gained: paired, 95 % interval; p: exact McNemar, corrected "
            f"for {len(found)} strategies (Holm). ms: one fusion on encoded tokens, measured here."
        )
    with st.container(border=True, key="compare box records"):
        _records(desk, kept, chosen)


def _offer_answers(desk: CompareDesk) -> None:
    """Say that the set has to be answered first, and do it when asked."""
    count = len(desk.opened.records.records)
    logged = " The log holds the answers of the strategy that ran only." if desk.opened.answers is not None else ""
    with st.container(border=True, key="compare box offer"):
        st.markdown("**What would another strategy have changed?**")
        st.caption(f"These records have to be answered under every strategy first.{logged}")
        words = f"Answer all {count:,} records" if count > 1 else "Answer it"
        asked = st.button(words, type="primary", key="answer for compare")
        beside = st.empty()
    if asked:
        session.answer_all(
            desk.folder,
            desk.every_strategy,
            lambda done, of: beside.progress(done / of, text=f"Answered {done:,} of {of:,} records."),
            lambda ahead: beside.caption(waiting(ahead)),
        )
        st.rerun()


def _filters(desk: CompareDesk, wide: pd.DataFrame) -> View:
    """Offer to look at some records only: by truth, by today's answer, by a column of the records."""
    columns = columns_of(desk.opened.records.records)
    with st.container(horizontal=True, key="compare filters"):
        label = _pick("truth", sorted(set(wide["label"])))
        answered = _pick("answered today", sorted({a for a in wide[desk.today] if isinstance(a, str)}))
        column = _pick("column", list(columns)) if columns else ""
        value = _pick(column, columns[column], must=True) if column else ""
    return View(label, answered, column if value else "", value)


def _pick(name: str, values: list[str], must: bool = False) -> str:
    at = 0 if must else None
    chosen = st.selectbox(name, values, at, placeholder="all", key=f"changed {name} {len(values)}", width=170)
    return str(chosen) if chosen is not None else ""


def _pick_other(found: list[Outcome]) -> str:
    names = [one.strategy for one in found]
    asked = state.link().get("strategy", "")
    key = f"other · {state.jumps()} · {','.join(sorted(names))}"
    at = names.index(asked) if asked in names else 0
    chosen = str(st.selectbox("Instead", names, at, format_func=say, key=key, width=220))
    state.write_link(strategy=chosen)
    return chosen


def _records(desk: CompareDesk, kept: pd.DataFrame, other: str) -> None:
    ids = {kind: changed_ids(kept, desk.today, other, kind) for kind in KINDS}
    asked = state.link().get("failures", "")
    with st.container(horizontal=True, vertical_alignment="center", key="compare records bar"):
        st.markdown(
            f"**Which records?** :small[:gray[under {say(other)} instead of {say(desk.today)}]]", width="stretch"
        )
        kind = st.segmented_control(
            "Records",
            list(KINDS),
            default=asked if asked in KINDS else "fixed",
            format_func=lambda one: f"{KINDS[one]} · {len(ids[one]):,}",
            label_visibility="collapsed",
            required=True,
            key=f"changed kind · {state.jumps()}",
        )
        kind = str(kind or "fixed")
        page = _page(len(ids[kind]), f"{kind} {other} {desk.today}")
    state.write_link(failures="" if kind == "fixed" else kind)
    shown = ids[kind][page * PER_PAGE : (page + 1) * PER_PAGE]
    if not shown:
        st.caption("None.")
        return
    records = {record.id: record for record in desk.opened.records.records}
    pictures = [record_session.thumbnail(desk.opened, records[id]) if id in records else None for id in shown]
    key = f"changed records · {kind} {other} {desk.today} {page} {state.moves()}"
    st.dataframe(
        changed_table(shown, kept, desk.today, other, records, pictures),
        hide_index=True,
        row_height=44,
        height=min(520, 38 + 44 * len(shown)),
        key=key,
        on_select=partial(_row_chosen, desk, key, shown, other),
        selection_mode=["single-row", "single-cell"],
        column_config={
            "image": st.column_config.ImageColumn(width=56),
            "text": st.column_config.TextColumn(width=420),
        },
    )
    st.caption(f"A click on a row opens it in Inspect under {say(other)}.")


def _page(total: int, key: str) -> int:
    pages = max(1, -(-total // PER_PAGE))
    if pages == 1:
        return 0
    return int(st.selectbox("Page", range(pages), format_func=lambda p: f"page {p + 1} of {pages}", key=f"page {key}",
                            label_visibility="collapsed", width=140))  # fmt: skip


def _row_chosen(desk: CompareDesk, key: str, shown: list[str], other: str) -> None:
    rows = [*selection(key, "rows"), *(cell[0] for cell in selection(key, "cells"))]
    if rows and rows[0] < len(shown):
        desk.open_record(shown[rows[0]], other)
