"""Inspect: why did this record get this answer?"""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import session, viewer
from dashboard.options import Workplace
from dashboard.screens.upload import upload_panel
from dashboard.views.board import StrategyCard
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import LEVELS, METHODS, NO_ATTENTION, say
from dashboard.views.picker import picker, refusals, tally
from fusion_core.errors import FusionError
from fusion_core.model import FusedModel
from fusion_core.types import Record, Seam

BOARD = "board"
SEAMS = {"fusion": "fusion seam", "input": "input seam"}
ABOUT_SEAMS = (
    "Fusion seam: encoder tokens are scored, fast. Input seam: what was written, seen and heard is scored, in seconds."
)


def render() -> None:
    """Place the pickers and the board; say in one sentence what stands in the way, if anything does."""
    places = session.choices()
    if not places:
        st.info("There is no model to show. Run `python -m sample_data.make`, or start with `--model BUNDLE`.")
        return
    try:
        _screen(places)
    except FusionError as error:
        st.error(markdown_safe(str(error)))


def _screen(places: list[Workplace]) -> None:
    asked = session.link()
    with st.container(key="bar"):
        first, second, third, fourth, last = st.columns([3, 10, 4, 4, 3], vertical_alignment="bottom")
        names = [place.name for place in places]
        start = names.index(asked["model"]) if asked.get("model") in names else 0
        place = places[first.selectbox("Model", range(len(names)), start, format_func=names.__getitem__, key="model")]
        loaded = session.model(str(place.model))
        with second:
            record = _pick_record(place, loaded, asked)
        with third:
            target = _pick_target(place, loaded)
        with fourth:
            seam = _pick_seam()
        with last.popover("Upload", width="stretch", key=f"upload panel {session.uploads()}"):
            upload_panel(loaded)
    _offer_answers(place)
    if record is None:
        st.info("Pick a record, or upload one: any of its modalities may be absent.")
        return
    _inspect(place, loaded, record, target, seam, asked)
    with st.expander("How to read this"):
        st.markdown(METHODS)


def _pick_record(place: Workplace, loaded: FusedModel, asked: dict[str, str]) -> Record | None:
    """Return the record to show: the upload while there is one, else the picked one."""
    uploaded = session.recall(session.UPLOAD)
    if isinstance(uploaded, Record):
        back = partial(session.remember, session.UPLOAD, None)
        st.button("Your upload · back to the record set", on_click=back, key="back", icon=":material/arrow_back:")
        return uploaded
    if place.records is None:
        return None
    strategy = _strategy(loaded, asked)
    records = session.record_set(str(place.records))
    answers = session.answers(str(place.model), str(place.records))
    choices = picker(records.rows, answers, strategy)
    if not choices:
        st.warning("No row of this record set could be read.")
        return None
    lines = {choice.id: choice.line for choice in choices}
    start = list(lines).index(asked["record"]) if asked.get("record") in lines else 0
    label = f"Record · {say(strategy)}: {tally(answers, strategy)}{refusals(records.refusals)}"
    key = f"record {place.name}" if answers is not None else f"record {place.name} unanswered"
    chosen = st.selectbox(markdown_safe(label), list(lines), start, format_func=lines.__getitem__, key=key)
    return records.find(chosen)


def _offer_answers(place: Workplace) -> None:
    """Offer to answer a record set that came without answers, so that what is wrong can come first."""
    if place.records is None or isinstance(session.recall(session.UPLOAD), Record):
        return
    folders = (str(place.model), str(place.records))
    count = len(session.record_set(folders[1]).records)
    if not count or session.answers(*folders) is not None:
        return
    with st.container(key="offer", horizontal=True, vertical_alignment="center"):
        asked = st.button(
            f"Answer all {count:,} records", key="answer all", type="tertiary", icon=":material/checklist:"
        )
        beside = st.empty()
        beside.caption("Then those answered wrong stand first.")
    if not asked:
        return
    session.answer_all(
        *folders, lambda done, of: beside.progress(done / of, text=f"Answered {done:,} of {of:,} records.")
    )
    session.write_link(record="")  # open on the first of the wrong ones
    st.rerun()


def _pick_target(place: Workplace, loaded: FusedModel) -> str | None:
    """Return the class to explain; None for each strategy's own answer."""
    options = ["", *loaded.classes]
    chosen = st.selectbox(
        "Class to explain", options, format_func=lambda c: c or "own answer", key=f"target {place.name}"
    )
    return chosen or None


def _pick_seam() -> Seam:
    seams: list[Seam] = ["fusion", "input"]
    return st.selectbox("Attribution at", seams, format_func=SEAMS.__getitem__, key="seam", help=ABOUT_SEAMS)


def _strategy(loaded: FusedModel, asked: dict[str, str]) -> str:
    clicked = viewer.chosen(BOARD)
    wanted = clicked.strategy if clicked else asked.get("strategy", "")
    return wanted if wanted in loaded.strategies else loaded.default_strategy


def _inspect(
    place: Workplace, loaded: FusedModel, record: Record, target: str | None, seam: Seam, asked: dict[str, str]
) -> None:
    where = (str(place.model), session.content_key(record), seam, target)
    with st.spinner("Tracing the record under every strategy."):
        found = session.inspection(*where, record)
        content = session.board_content(
            *where, found, [_card(loaded, name, found.failures.get(name)) for name in loaded.strategies]
        )
    clicked = viewer.chosen(BOARD)
    chosen = {
        "strategy": _strategy(loaded, asked),
        "token": clicked.token if clicked else asked.get("token", ""),
        "view": clicked.view if clicked else asked.get("view", "attention"),
    }
    selection = viewer.show(content | chosen, BOARD, lambda: None)
    session.write_link(
        model=place.name,
        record="" if record.id == session.UPLOAD else record.id,
        strategy=selection.strategy,
        token=selection.token,
        view=selection.view,
    )


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
