"""What would have changed: which failures of today another strategy answers rightly, and which right ones it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape

import pandas as pd
import streamlit as st

from dashboard import record_session, session, state
from dashboard.compare_desk import CompareDesk
from dashboard.comparing import costs_of
from dashboard.desk import selection
from dashboard.views.changed import (
    KINDS,
    View,
    by_record,
    changed_ids,
    changed_table,
    changes_html,
    columns_of,
    in_view,
    view_words,
)
from dashboard.views.labels import begin, say, waiting
from fusion_core.compare.changed import Change, changes, recommendation
from fusion_core.types import Record

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
    chance = [name for name in desk.loaded.strategies if desk.loaded.fitted[name].status == CHANCE]
    if desk.today in chance:
        st.info(f"{begin(say(desk.today))} is at chance level: choose another one as the strategy that runs today.")
        return
    records = {record.id: record for record in desk.opened.records.records}
    with st.container(border=True, key="compare box changed"):
        st.markdown("**What would another strategy have changed?**")
        lead = st.empty()
        with st.container(horizontal=True, key="compare filters"):
            view = _filters(desk, wide)
            failures = in_view(wide, desk.today, view, records)
            found, costs = changes(answers, desk.today, failures, chance), costs_of(desk)
            chosen = _pick_other(found) if found else ""
        lead.html(
            f'<p class="lead">{escape(_lead(recommendation(found, None if desk.loaded.original else costs)))}</p>'
        )
        if not found:
            return
        st.html(changes_html(found, chosen, costs))
        st.caption(_note(found[0], view, len(found)))
    with st.container(border=True, key="compare box records"):
        one = next(change for change in found if change.other == chosen)
        _records(desk, wide, one, changed_ids(one, failures), records)


def _lead(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _note(one: Change, view: View, others: int) -> str:
    """Return what the figures are of."""
    which = f" ({words})" if (words := view_words(view)) else ""
    return (
        f"{one.failures:,} failures of {say(one.strategy)} in view{which}; breaks, accuracy gained (paired, 95 % "
        f"interval) and p (exact McNemar, corrected for {others} strategies by Holm) are of all {one.records:,} "
        "labelled records. ms: one fusion of encoded tokens."
    )


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
    label = _pick("Truth", sorted(set(wide["label"])))
    answered = _pick("Answered today", sorted({a for a in wide[desk.today] if isinstance(a, str)}))
    column = _pick("Column", list(columns)) if columns else ""
    value = _pick(column, columns[column], must=True) if column else ""
    return View(label, answered, column if value else "", value)


def _pick(name: str, values: list[str], must: bool = False) -> str:
    at = 0 if must else None
    chosen = st.selectbox(name, values, at, placeholder="all", key=f"changed {name} {len(values)}", width=170)
    return str(chosen) if chosen is not None else ""


def _pick_other(found: Sequence[Change]) -> str:
    names = [one.other for one in found]
    asked = state.link().get("strategy", "")
    key = f"other · {state.jumps()} · {found[0].strategy}"
    at = names.index(asked) if asked in names else 0
    chosen = str(st.selectbox("Instead", names, at, format_func=say, key=key, width=220))
    state.write_link(strategy=chosen)
    return chosen


def _records(
    desk: CompareDesk, wide: pd.DataFrame, one: Change, ids: Mapping[str, list[str]], records: Mapping[str, Record]
) -> None:
    """Show the records it fixes, breaks or gets wrong too, a page at a time."""
    asked = state.link().get("failures", "")
    with st.container(horizontal=True, vertical_alignment="center", key="compare records bar"):
        words = f"under {say(one.other)} instead of {say(one.strategy)}"
        st.markdown(f"**Which records?** :small[:gray[{words}]]", width="stretch")
        picked = st.segmented_control(
            "Records",
            list(KINDS),
            default=asked if asked in KINDS else "fixed",
            format_func=lambda kind: f"{KINDS[kind]} · {len(ids[kind]):,}",
            label_visibility="collapsed",
            required=True,
            key=f"changed kind · {state.jumps()}",
        )
        kind = str(picked or "fixed")
        page = _page(len(ids[kind]), f"{kind} {one.other} {one.strategy}")
    state.write_link(failures="" if kind == "fixed" else kind)
    shown = ids[kind][page * PER_PAGE : (page + 1) * PER_PAGE]
    if not shown:
        st.caption("None.")
        return
    pictures = [record_session.thumbnail(desk.opened, records[id]) if id in records else None for id in shown]
    key = f"changed records · {kind} {one.other} {one.strategy} {page} {state.moves()}"
    st.dataframe(
        changed_table(shown, wide, one.strategy, one.other, records, pictures),
        hide_index=True,
        row_height=44,
        height=min(520, 38 + 44 * len(shown)),
        key=key,
        on_select=partial(_row_chosen, desk, key, shown, one.other),
        selection_mode=["single-row", "single-cell"],
        column_config={
            "image": st.column_config.ImageColumn(width=56),
            "text": st.column_config.TextColumn(width=420),
        },
    )
    st.caption(f"A click on a row opens it in Inspect under {say(one.other)}.")


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
