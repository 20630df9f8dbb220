"""Inspect: why did this record get this answer?"""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import session, viewer
from dashboard.options import Workplace
from dashboard.screens.upload import upload_panel
from dashboard.views.board import StrategyCard, payload
from dashboard.views.labels import LABELS, LEVELS, METHODS, NO_ATTENTION
from dashboard.views.picker import picker, tally
from fusion_core.errors import FusionError
from fusion_core.model import FusedModel
from fusion_core.types import Record

BOARD = "board"
SEAMS = {"fusion": "fusion seam · fast", "input": "input seam · some seconds"}


def render() -> None:
    """Place the pickers and the board; say in one sentence what stands in the way, if anything does."""
    places = session.choices()
    if not places:
        st.info("There is no model to show. Run `python -m sample_data.make`, or start with `--model BUNDLE`.")
        return
    try:
        _screen(places)
    except FusionError as error:
        st.error(str(error))


def _screen(places: list[Workplace]) -> None:
    asked = session.link()
    with st.container(key="bar"):
        left, middle, right = st.columns([2, 7, 2], vertical_alignment="bottom")
        names = [place.name for place in places]
        start = names.index(asked["model"]) if asked.get("model") in names else 0
        place = places[left.selectbox("Model", range(len(names)), start, format_func=names.__getitem__, key="model")]
        loaded = session.model(str(place.model))
        with right.popover("Upload a record", width="stretch"):
            upload_panel(loaded)
        with middle:
            record = _pick_record(place, loaded, asked)
    if record is None:
        st.info("Pick a record, or upload one: any of its modalities may be absent.")
        return
    _inspect(place, loaded, record, asked)


def _pick_record(place: Workplace, loaded: FusedModel, asked: dict[str, str]) -> Record | None:
    """Return the record to show: the upload while there is one, else the picked one."""
    uploaded = session.recall(session.UPLOAD)
    if isinstance(uploaded, Record):
        st.button("← Back to the record set", on_click=partial(session.remember, session.UPLOAD, None), key="back")
        return uploaded
    if place.records is None:
        return None
    strategy = _strategy(loaded, asked)
    records = session.record_set(str(place.records))
    answers = session.saved_answers(str(place.model), str(place.records))
    choices = picker(records.rows, answers, strategy)
    if not choices:
        st.warning("No row of this record set could be read.")
        return None
    lines = {choice.id: choice.line for choice in choices}
    ids = list(lines)
    start = ids.index(asked["record"]) if asked.get("record") in lines else 0
    refused = f" · {len(records.refusals)} rows refused" if records.refusals else ""
    label = f"Record · {LABELS.get(strategy, strategy)}: {tally(answers, strategy)}, wrong ones first{refused}"
    key = f"record {place.name} {strategy}"
    chosen = st.selectbox(label, ids, start, format_func=lines.__getitem__, key=key)
    return records.find(chosen)


def _strategy(loaded: FusedModel, asked: dict[str, str]) -> str:
    clicked = viewer.chosen(BOARD)
    wanted = clicked.strategy if clicked else asked.get("strategy", "")
    return wanted if wanted in loaded.strategies else loaded.default_strategy


def _inspect(place: Workplace, loaded: FusedModel, record: Record, asked: dict[str, str]) -> None:
    seam_column, target_column, words = st.columns([3, 3, 5], vertical_alignment="bottom")
    seam = seam_column.segmented_control(
        "Attribution measured at",
        list(SEAMS),
        default="fusion",
        format_func=SEAMS.__getitem__,
        key="seam",
        required=True,
    )
    target = target_column.selectbox(
        "Class to explain",
        [None, *loaded.classes],
        format_func=lambda c: c or "each strategy's own answer",
        key=f"target {place.name}",
    )
    with words.expander("How to read this"):
        st.markdown(METHODS)
    with st.spinner("Tracing the record under every strategy …"):
        found = session.inspection(
            str(place.model), session.content_key(record), "input" if seam == "input" else "fusion", target, record
        )
    strategy = _strategy(loaded, asked)
    clicked = viewer.chosen(BOARD)
    drawn = payload(
        found.traces,
        picture=found.picture,
        clip_samples=found.clip.samples if found.clip else None,
        clip_rate=found.clip.rate if found.clip else None,
        mel=found.mel,
        strategies=[_card(loaded, name) for name in loaded.strategies],
        selected=strategy,
        token=clicked.token if clicked else asked.get("token", ""),
        view=clicked.view if clicked else asked.get("view", "attention"),
        labels=LABELS,
    )
    selection = viewer.show(drawn, BOARD, lambda: None)
    session.write_link(
        model=place.name,
        record="" if record.id == session.UPLOAD else record.id,
        strategy=selection.strategy,
        token=selection.token,
        view=selection.view,
    )


def _card(loaded: FusedModel, name: str) -> StrategyCard:
    fitted = loaded.fitted[name]
    return StrategyCard(
        name=name,
        label=LABELS.get(name, name),
        status=fitted.status,
        parameters=fitted.parameters,
        validation_accuracy=fitted.validation_accuracy,
        interval=fitted.interval,
        has_attention=name not in NO_ATTENTION,
        sentence=NO_ATTENTION.get(name, ""),
        level=LEVELS.get(name, ""),
    )
