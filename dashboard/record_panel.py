"""From the record that was picked to the board that shows it: one fragment, so that a swap reruns nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import session, viewer
from dashboard.inspection import Inspection, classes_left, content_key
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from dashboard.viewer import Selection
from dashboard.views.board import StrategyCard
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
    asked = session.link()
    chosen = viewer.chosen(BOARD) or Selection.read(asked)
    if record_id is not None and asked.get("record") not in (None, record_id):
        chosen = replace(Selection.read(asked), token="")
    known = chosen.strategy in loaded.strategies
    return chosen if known else replace(chosen, strategy=loaded.default_strategy)


@st.fragment(key=BOARD)
def record_panel(
    place: Workplace, loaded: FusedModel, opened: OpenSet, record: Record, order: list[str], presenting: bool
) -> None:
    """Show a record under every strategy; `order` lists the records a presenter walks through.

    What cannot be read or worked out is a sentence in its place: the pickers around it stay.
    """
    try:
        _show(place, loaded, opened, record, order, presenting)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")


def _show(
    place: Workplace, loaded: FusedModel, opened: OpenSet, record: Record, order: list[str], presenting: bool
) -> None:
    folder, key = str(place.model), content_key(record)
    # One place for what is said meanwhile: the board must stay the second element, or it would be mounted anew.
    meanwhile = st.empty()
    # A board that stands pales while it waits; before the first one a sentence says what is being done.
    if viewer.stands(BOARD):
        found = session.inspection(folder, key, record)
    else:
        with meanwhile, st.spinner(TRACING):
            found = session.inspection(folder, key, record)
    now = selection(loaded, record.id)
    left = classes_left(loaded, found)
    fills = session.fills(folder + key)
    compared = session.answered_set(place, opened)
    near = session.similar_records(folder, key, compared.key, found, compared) if fills and compared else None
    asked = _asked_at_input(found, now)
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
    shown = viewer.show(content, around, BOARD, now, lambda: None, ask)
    screen = "present" if presenting else "inspect"
    session.write_link(model=place.name, set=upload, record=record.id, screen=screen, **shown.for_link())


def _asked_at_input(found: Inspection, now: Selection) -> list[tuple[str, str]]:
    """Return the strategies and the class whose attribution at the input seam the board shows."""
    own = {trace.strategy: trace.prediction.top for trace in found.traces}
    if now.seam != "input" or now.strategy not in own:
        return []
    return [(name, now.target or own[now.strategy]) for name in (now.strategy, now.beside) if name in own]


def _more_attributions(
    folder: str,
    key: str,
    found: Inspection,
    classes: tuple[str, ...],
    at_input: list[tuple[str, str]],
    meanwhile: DeltaGenerator,
) -> dict[str, tuple[Attribution, ...]]:
    """Return the attributions that came after the first paint, each computed once."""
    more: dict[str, tuple[Attribution, ...]] = {}
    for start in range(0, len(classes), A_FEW):
        for strategy, few in session.classes_explained(folder, key, classes[start : start + A_FEW], found).items():
            more[strategy] = more.get(strategy, ()) + few
    for strategy, target in at_input:
        done = session.at_input(folder, key, strategy, target, found, lambda ahead: meanwhile.caption(waiting(ahead)))
        more[strategy] = more.get(strategy, ()) + done
    if at_input:
        meanwhile.empty()
    return more


def _answer_request(content: str, opened: OpenSet, compared: OpenSet | None, order: list[str], id: str) -> None:
    """Do what the board asked for: fill in what was left for later, or open another record."""
    asked = viewer.request(BOARD)
    if asked.get("fill"):
        session.fill_more(content)
        return
    wanted, target = str(asked.get("open", "")), compared or opened
    if asked.get("step") in (1, -1) and id in order:
        wanted, target = order[(order.index(id) + asked["step"]) % len(order)], opened
    if any(record.id == wanted for record in target.records.records):
        clicked = viewer.chosen(BOARD)
        session.write_link(**(clicked.for_link() if clicked else {}))
        session.go_to(target, wanted)
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
