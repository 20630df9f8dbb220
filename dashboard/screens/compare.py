"""Compare: which strategy should we run?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from dashboard import session, state
from dashboard.compare_changed import changed_part
from dashboard.compare_desk import PARTS, CompareDesk, asked_part, asked_today, leave, offered_parts, records_said
from dashboard.compare_record import record_part
from dashboard.compare_set import set_part
from dashboard.options import Workplace
from dashboard.record_picker import is_left, pick_record
from dashboard.screens.opening import asked_set, models, pick_model
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import say
from fusion_core.errors import FusionError
from fusion_core.model import FusedModel

STYLE = Path(__file__).parents[1] / "compare.css"


def render(inspect: Callable[[], None], triage: Callable[[], None]) -> None:
    """Place the pickers and the part that is asked for; `inspect` and `triage` lead to those screens."""
    places = models()
    if not places:
        return
    try:
        leave(inspect)
        if is_left():
            triage()
        st.html(STYLE)
        _screen(places)
        leave(inspect)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")


def _screen(places: list[Workplace]) -> None:
    with st.container(key="compare bar"):
        first, second, third = st.columns([3, 3, 16], vertical_alignment="bottom")
        place = pick_model(places, first)
        loaded = session.model(str(place.model))
        with second:
            today = _pick_today(place, loaded)
        opened, asked = asked_set(place)
        if opened is None:
            st.info("This model came without records. Upload some on Inspect, or start with `--records DIR`.")
            return
    desk = CompareDesk(place, opened, today)
    bar = st.container(key="compare head", horizontal=True, vertical_alignment="center")
    with bar:
        part = _pick_part(offered_parts(len(opened.records.records), len(loaded.strategies)))
    with third:
        if part == "record":
            _, chosen = pick_record(place, opened, asked, today)
        else:
            chosen = asked.get("record", "")
            st.caption(records_said(desk))
    if chosen is None or not opened.records.records:
        st.warning("No row of this record set could be read.")
        return
    own = state.link() if state.link().get("model") in (None, place.name) else {}
    state.write_link(
        model=place.name,
        set=opened.link,
        record=chosen,
        screen="compare",
        part="" if part == "record" else part,
        today="" if today == loaded.default_strategy else today,
        strategy=own.get("strategy", ""),
    )
    if part == "record":
        record_part(desk, chosen, bar)
    elif part == "set":
        set_part(desk)
    else:
        changed_part(desk)


def _pick_today(place: Workplace, loaded: FusedModel) -> str:
    names = list(loaded.strategies)
    return str(
        st.selectbox(
            "Runs today",
            names,
            names.index(asked_today(loaded)),
            format_func=say,
            key=f"today · {place.name} · {state.jumps()}",
            help="The strategy the others are compared with.",
        )
    )


def _pick_part(offered: Sequence[str]) -> str:
    key = f"part · {state.jumps()} · {len(offered)}"
    chosen = st.segmented_control(
        "Part",
        offered,
        default=asked_part(offered),
        format_func=PARTS.__getitem__,
        label_visibility="collapsed",
        key=key,
        required=True,
    )
    return str(chosen or "record")
