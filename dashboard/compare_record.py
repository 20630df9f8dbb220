"""Compare on one record: every strategy's answer, what drove it, where it looks and what it costs, on one screen."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import record_session, session, state
from dashboard.compare_desk import CompareDesk
from dashboard.comparing import costs_of
from dashboard.inspection import Inspection, content_key
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import say, tracing
from dashboard.views.one_record import OWN, StrategyCard, card, explained_note, tally
from dashboard.views.sketch import Picture
from fusion_core.errors import FusionError
from fusion_core.types import Record, Trace


def record_part(desk: CompareDesk, id: str, bar: DeltaGenerator) -> None:
    """Show a record under every strategy, a card each; a click on one opens the record in Inspect under it.

    bar: the row above the cards.
    """
    try:
        record = session.opened_record(desk.loaded, desk.opened, id)
        with st.spinner(tracing(fitted.status for fitted in desk.loaded.fitted.values())):
            found = record_session.inspection(desk.folder, desk.opened, record)
            thumbnail, costs = _once(desk, record, found), costs_of(desk)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")
        return
    traces = {trace.strategy: trace for trace in found.traces}
    today = traces.get(desk.today)
    target = _head(desk, record, found, today, bar)
    with st.container(key="compare cards"):
        for name in desk.loaded.strategies:
            status, failure = desk.loaded.fitted[name].status, found.failures.get(name, "")
            about = StrategyCard(name, status, costs[name], failure, original=name == desk.loaded.original)
            with st.container(key=f"compare card {name}", border=True):
                st.html(card(about, traces.get(name), today, target, thumbnail))
                words = f"Open this record in Inspect under {say(name)}"
                st.button(words, key=f"open {name}", on_click=desk.open_record, args=(record.id, name))
    st.caption(explained_note(target, desk.loaded.original is not None))


def _head(desk: CompareDesk, record: Record, found: Inspection, today: Trace | None, bar: DeltaGenerator) -> str:
    """Say how many strategies are right; return the class that is explained."""
    truth = record.label if record.label in desk.loaded.classes else None
    with bar:
        known = f"truth **{markdown_safe(record.label)}**" if record.label is not None else "truth not known"
        known += " (no class of this model)" if record.label is not None and truth is None else ""
        st.markdown(f"{known} · {tally(found.traces, today)}", width="stretch")
        if truth is None:
            return OWN
        wanted = st.segmented_control(
            "Explain",
            [OWN, "truth"],
            default="truth" if state.link().get("explain") == "truth" else OWN,
            format_func=lambda one: "explain its own answer" if one == OWN else "explain the truth",
            label_visibility="collapsed",
            required=True,
            key=f"explain · {state.jumps()}",
        )
    state.write_link(explain=wanted or "")
    return truth if wanted == "truth" else OWN


def _once(desk: CompareDesk, record: Record, found: Inspection) -> Picture | None:
    """Return the picture in small, made once per record."""
    done = record_session.parts(desk.opened, desk.folder + content_key(record))
    if "small picture" not in done:
        done["small picture"] = record_session.small_picture(desk.opened, record, found)
    kept: Picture | None = done["small picture"]
    return kept
