"""From the record that was picked to the board that shows it: one fragment, so that a swap reruns nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import session, state, viewer
from dashboard.inspection import Inspection, classes_left, content_key
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.viewer import Selection
from dashboard.views.board import CHANCE, StrategyCard
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import LEVELS, NO_ATTENTION, say, waiting
from fusion_core.errors import FusionError
from fusion_core.model import FusedModel
from fusion_core.types import Attribution, Record

BOARD = "board"
TRACING = "Tracing the record under every strategy: about a second."
A_FEW = 4  # classes explained at a time behind the first paint: a click in between waits for no more


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
def record_panel(
    place: Workplace, loaded: FusedModel, opened: OpenSet, id: str, order: list[str], presenting: bool
) -> None:
    """Show a record under every strategy; `order` lists the records a presenter walks through.

    What cannot be read or worked out is a sentence in its place: the pickers around it stay.
    """
    try:
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
        found = session.inspection(folder, opened, record)
    else:
        with meanwhile, st.spinner(TRACING):
            found = session.inspection(folder, opened, record)
    now = selection(loaded, record.id)
    left = classes_left(loaded, found)
    fills = state.fills(folder + key)
    compared = session.answered_set(place, opened)
    near = session.similar_records(folder, opened, record, found, compared) if fills and compared else None
    asked = _asked_at_input(found, now) if fills else []  # seconds: never before the first paint
    stage = f"{fills} {compared and compared.key} {asked}"
    more = _more_attributions(folder, key, found, left[: fills * A_FEW], asked, meanwhile)
    cards = [_card(loaded, name, found.failures.get(name)) for name in loaded.strategies]
    content = session.board_content(folder, key, stage, found, cards, more, near)
    upload = opened.key if opened.upload else ""
    around = {
        "presenting": presenting,
        "list": {"at": order.index(record.id) + 1, "of": len(order)},
        "compared": {"done": fills > 0, "set": compared.name if compared and compared.key != opened.key else ""},
        "complete": fills > 0 and fills * A_FEW >= len(left),
        "link": {"model": place.name, "record": record.id, "set": upload},
    }
    ask = partial(_answer_request, folder + key, opened, compared, order, record.id)
    shown = viewer.show(content, around, BOARD, now, ask)
    screen = "present" if presenting else "inspect"
    state.write_link(model=place.name, set=upload, record=record.id, screen=screen, **shown.for_link())


def _asked_at_input(found: Inspection, now: Selection) -> list[tuple[str, str]]:
    """Return the strategies and the class whose attribution at the input seam the board shows; none for other views.

    A strategy without attention between tokens has attributions only, whatever view is asked for, and so has the one
    beside it.
    """
    own = {trace.strategy: trace.prediction.top for trace in found.traces}
    shown = [name for name in (now.strategy, now.beside) if name in own]
    attribution = now.view == "attribution" or any(name in NO_ATTENTION for name in shown)
    if now.seam != "input" or now.strategy not in own or not attribution:
        return []
    chance = {trace.strategy for trace in found.traces if trace.status == CHANCE}
    return [(name, now.target or own[now.strategy]) for name in shown if name not in chance]


def _more_attributions(
    folder: str,
    key: str,
    found: Inspection,
    classes: tuple[str, ...],
    at_input: list[tuple[str, str]],
    meanwhile: DeltaGenerator,
) -> dict[str, tuple[Attribution, ...]]:
    """Return the attributions that came after the first paint, each computed once."""

    def in_line(ahead: int) -> None:
        meanwhile.caption(waiting(ahead))

    more: dict[str, tuple[Attribution, ...]] = {}
    for start in range(0, len(classes), A_FEW):
        few = classes[start : start + A_FEW]
        # Nothing is said while this waits behind a board that stands, but a click must get through.
        done = session.classes_explained(folder, key, few, found, lambda ahead: meanwhile.empty())
        more = {strategy: more.get(strategy, ()) + found_here for strategy, found_here in done.items()}
    for strategy, target in at_input:
        more[strategy] = more.get(strategy, ()) + session.at_input(folder, key, strategy, target, found, in_line)
    if at_input:
        meanwhile.empty()
    return more


def _answer_request(content: str, opened: OpenSet, compared: OpenSet | None, order: list[str], id: str) -> None:
    """Do what the board asked for: fill in what was left for later, or open another record."""
    asked = viewer.request(BOARD)
    if asked.get("fill"):
        state.fill_more(content)
        return
    wanted, target = str(asked.get("open", "")), compared or opened
    if asked.get("step") in (1, -1) and id in order:
        wanted, target = order[(order.index(id) + asked["step"]) % len(order)], opened
    if any(record.id == wanted for record in target.records.records):
        clicked = viewer.chosen(BOARD)
        state.write_link(**(clicked.for_link() if clicked else {}))
        state.go_to(target, wanted)
        st.rerun()


def _card(loaded: FusedModel, name: str, failure: str | None) -> StrategyCard:
    fitted = loaded.fitted[name]
    return StrategyCard(
        name=name,
        label=say(name),
        status=fitted.status,
        parameters=fitted.parameters,
        validation_accuracy=fitted.validation_accuracy,
        interval=fitted.interval,
        has_attention=name not in NO_ATTENTION,
        sentence=failure or NO_ATTENTION.get(name, ""),
        level=LEVELS.get(name, ""),
    )
