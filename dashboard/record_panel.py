"""From the record that was picked to the board that shows it: one fragment, so that a swap reruns nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from dashboard import record_session, session, state, viewer
from dashboard.cause_panel import cause_panel
from dashboard.deeper import Deeper
from dashboard.inspection import Inspection, classes_left, content_key
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.viewer import Selection
from dashboard.views.board import Later, StrategyCard
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import LEVELS, say, tracing, without_attention
from dashboard.work import A_FEW, Work
from fusion_core.errors import FusionError
from fusion_core.model import FusedModel
from fusion_core.types import Record, Trace
from fusion_core.words import ORIGINAL

BOARD = "board"
TEST, MAP = ("strategy", "name", "target", "each"), ("strategy", "name")
NOTED = {  # what the board may ask for, where it is kept, and its parts
    "judge": (state.note, "judge", TEST),
    "untest": (state.forget, "judge", TEST),
    "start": (state.note, "start", MAP),
    "stop": (state.forget, "start", MAP),
}


def selection(loaded: FusedModel, record_id: str | None = None) -> Selection:
    """Return what is chosen on the board, else what the address asks for; a token belongs to its record only."""
    asked = state.link()
    chosen = viewer.chosen(BOARD) or Selection.read(asked)
    if record_id is not None and asked.get("record") not in (None, record_id):
        chosen = replace(Selection.read(asked), token="")
    return _known(chosen, loaded)


def _known(chosen: Selection, loaded: FusedModel) -> Selection:
    """Return the selection without what this model has not: a link, or another model's choice, may name anything."""
    strategy = chosen.strategy if chosen.strategy in loaded.strategies else loaded.default_strategy
    return replace(
        chosen,
        strategy=strategy,
        target=chosen.target if chosen.target in loaded.classes else "",
        beside=chosen.beside if chosen.beside in loaded.strategies and chosen.beside != strategy else "",
    )


@st.fragment(key=BOARD)
def record_panel(place: Workplace, opened: OpenSet, id: str, order: list[str], presenting: bool) -> None:
    """Show a record under every strategy; `order` lists the records a presenter walks through.

    The model is asked for here: a fragment keeps what it is given for as long as the page is open.

    What cannot be read or worked out is a sentence in its place: the pickers around it stay.
    """
    try:
        loaded = session.model(str(place.model))
        record = session.opened_record(loaded, opened, id)
        _show(place, loaded, opened, record, order, presenting)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")
        if presenting:
            _walk_on(opened, order, id)


def _walk_on(opened: OpenSet, order: list[str], id: str) -> None:
    """Offer the way past a record that cannot be shown, by the keys that the board listens to otherwise."""
    with st.container(horizontal=True):
        for name, step, key in (("Previous", -1, "Left"), ("Next", 1, "Right")):
            if st.button(name, key=f"{name} presented", shortcut=key, disabled=len(order) < 2):
                state.go_to(opened, order[(order.index(id) + step) % len(order)])
                st.rerun()


def _show(
    place: Workplace, loaded: FusedModel, opened: OpenSet, record: Record, order: list[str], presenting: bool
) -> None:
    folder, key = str(place.model), content_key(record)
    # One place for what is said meanwhile: the board must stay the second element, or it would be mounted anew.
    meanwhile = st.empty()
    # A board that stands pales while it waits; before the first one a sentence says what is being done.
    if viewer.stands(BOARD):
        found = record_session.inspection(folder, opened, record)
    else:
        with meanwhile, st.spinner(tracing(fitted.status for fitted in loaded.fitted.values())):
            found = record_session.inspection(folder, opened, record)
    now = selection(loaded, record.id)
    left = classes_left(loaded, found)
    state.opened(folder + key)
    fills = state.fills(folder + key)
    compared = session.answered_set(place, opened)
    later, stage = Later(), ""
    if fills or state.noted(folder + key, "judge"):
        work = Work(folder, key, opened, found, meanwhile)
        near = record_session.similar_records(folder, opened, record, found, compared) if fills and compared else None
        later, stage = work.later(now, fills > 0, left[: fills * A_FEW], fills > 0 and fills * A_FEW >= len(left), near)
    stage = f"{fills} {compared and compared.key} {stage}"
    traces = {trace.strategy: trace for trace in found.traces}
    cards = [_card(loaded, name, traces.get(name), found) for name in loaded.strategies]
    content = record_session.board_content(folder, key, stage, found, cards, later)
    around = {
        "presenting": presenting,
        "list": {"at": order.index(record.id) + 1, "of": len(order)},
        "compared": {"done": fills > 0, "set": compared.name if compared and compared.key != opened.key else ""},
        "complete": fills > 0 and fills * A_FEW >= len(left),
        "link": {"model": place.name, "record": record.id, "set": opened.link},
        "started": [{"strategy": s, "name": name} for s, name in state.noted(folder + key, "start")],
    }
    ask = partial(_answer_requests, folder + key, content.revision, opened, compared, order, record.id)
    shown = viewer.show(content, around, BOARD, now, ask)
    screen = "present" if presenting else "inspect"
    state.write_link(model=place.name, set=opened.link, record=record.id, screen=screen, **shown.for_link())
    if not presenting:
        answer = next((t.prediction.top for t in found.traces if t.strategy == shown.strategy), "")
        work = Work(folder, key, opened, found, meanwhile)
        if fills:  # behind the first paint
            cause_panel(place, opened, folder + key, record, found)
        Deeper(place, opened, record, found, work, shown.strategy, shown.target or answer).show()


def _answer_requests(
    content: str, revision: str, opened: OpenSet, compared: OpenSet | None, order: list[str], id: str
) -> None:
    """Do what the board asked for, then open another record where it asked for one."""
    steps, wanted = 0, ""
    for asked in viewer.requests(BOARD):
        steps += asked["step"] if asked.get("step") in (1, -1) else 0
        wanted = str(asked.get("open", wanted))
        if asked.get("revision") == revision:
            _note(content, asked)
    target = compared or opened
    if steps and id in order:
        wanted, target = order[(order.index(id) + steps) % len(order)], opened
    if any(record.id == wanted for record in target.records.records):
        clicked = viewer.chosen(BOARD)
        state.write_link(**(clicked.for_link() if clicked else {}))
        state.go_to(target, wanted)
        st.rerun()


def _note(content: str, asked: Mapping[str, Any]) -> None:
    """Keep what the board wants of the record it shows: the next fill, tests and methods started or stopped."""
    if asked.get("fill"):
        state.fill_more(content)
    for what, (change, kept, names) in NOTED.items():
        if isinstance(entry := asked.get(what), Mapping):
            change(content, kept, tuple(str(entry.get(n, "")) for n in names))


def _card(loaded: FusedModel, name: str, trace: Trace | None, found: Inspection) -> StrategyCard:
    fitted, silent = loaded.fitted[name], without_attention(name, trace)
    return StrategyCard(
        name=name,
        label=f"{say(name)} ({ORIGINAL})" if name == loaded.original else say(name),
        status=fitted.status,
        parameters=fitted.parameters,
        validation_accuracy=fitted.validation_accuracy,
        interval=fitted.interval,
        has_attention=not silent,
        sentence=found.failures.get(name) or silent,
        level=LEVELS.get(name, ""),
        place=loaded.head(name).where,
        heavy=name in found.heavy,
    )
