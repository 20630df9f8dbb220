"""Fit's second card: encoders, strategies, budget, seed and name, and the button that starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from dashboard import fit_session
from dashboard.fit_encoders import DEFAULT, NONE, source_of
from dashboard.fit_records import Ready, decided
from dashboard.fit_run import FitAsked, start_fit
from dashboard.fit_sources import FitSet
from dashboard.own_bundles import LONGEST_NAME, checked_name
from dashboard.views.escape import markdown_safe
from dashboard.views.fit import Account
from dashboard.views.labels import say
from dashboard.views.summary import count_of
from fusion_core.encoders import EncoderSource
from fusion_core.errors import CallError, FusionError
from fusion_core.types import MODALITIES
from fusion_core.words import count

LONGEST_BUDGET = 24 * 60  # minutes
EACH = "one per modality"
BESIDE = "{name} reads {reads}. It is measured beside the strategies as it is, where it can answer the classes."
NOTHING_READ = "Every modality is left out or absent: choose an encoder for one that the records have."


def settings_card(found: FitSet, ready: Ready, busy: bool) -> None:
    """Ask what to fit and start it; what stands in the way is said beside the button."""
    model = _model()
    sources = _encoders(ready.counted) if model is None else {}
    chosen = _strategies(sources, model, len(ready.counted.classes))
    with st.container(key="fit numbers"):
        left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
        name = left.text_input("Name of the bundle", "mine", key="fit name", max_chars=2 * LONGEST_NAME)
        minutes = middle.number_input(
            "Minutes", 1, LONGEST_BUDGET, None, key="fit minutes", placeholder="no limit",
            help="Budget of training, all strategies together. What is done by then is kept.",
        )  # fmt: skip
        seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="fit seed")
    asked = FitAsked(
        source=found.source,
        set_name=found.opened.name,
        name=name.strip(),
        strategies=tuple(chosen),
        sources=sources,
        minutes=minutes,
        seed=int(seed),
        held=ready.held,
        labels=dict(decided(found)),
        model=model,
    )
    _start(asked, found, "These records cannot be fitted on." if ready.refusal else _trouble(asked), busy)


def _trouble(asked: FitAsked) -> str:
    """Return why this cannot be fitted, "" where it can."""
    try:
        checked_name(asked.name)
    except CallError as error:
        return str(error)
    return "" if asked.strategies else "Choose at least one strategy."


def _start(asked: FitAsked, found: FitSet, trouble: str, busy: bool) -> None:
    names = asked.strategies
    what = say(names[0]) if len(names) == 1 else f"{len(names)} strategies"
    pressed = st.button(
        f"Fit {what}", type="primary", key="fit start", disabled=bool(trouble) or busy, icon=":material/play_arrow:"
    )
    if busy:
        st.caption("A fit of yours is under way.")
    elif trouble:
        st.caption(f":red[{markdown_safe(trouble)}]")
    elif asked.labels:
        st.caption(f"With your {count_of(len(asked.labels), 'decision')} about labels of this set.")
    if pressed and not trouble and not busy:
        start_fit(asked, found)
        st.rerun()


def _model() -> Path | None:
    """Ask whether to use the encoders of a foreign model that is open, and so to compare fusions with its own."""
    models = fit_session.foreign_models()
    if not models:
        return None
    choice = st.selectbox(
        "Encoders", ["", *models], key="fit model", format_func=lambda name: f"those of {name}" if name else EACH
    )
    return models.get(choice)


def _encoders(counted: Account) -> dict[str, EncoderSource | None]:
    """Ask for an encoder per modality; one that no record has needs none."""
    offered, refused = fit_session.offered_encoders()
    having = dict(counted.present)
    chosen: dict[str, EncoderSource | None] = {}
    with st.container(key="fit encoders"):
        for column, m in zip(st.columns(len(MODALITIES)), MODALITIES, strict=True):
            options: list[str] = [DEFAULT, *offered[m], NONE] if having[m] else [NONE]
            choice = column.selectbox(f"{m.capitalize()} encoder", options, key=f"fit encoder {m} {bool(having[m])}")
            chosen[m] = source_of(m, choice or NONE)
    used = [source.name for source in chosen.values() if source is not None]
    absent = [m for m in MODALITIES if not having[m]]
    st.caption(markdown_safe(" · ".join([*used, *(f"no record has {m}" for m in absent)])))
    if refused:
        names = ", ".join(markdown_safe(name) for name in refused[:3])
        st.caption(f"Not offered: {names}{' and others' if len(refused) > 3 else ''}, of no kind that is read here.")
    return chosen


def _strategies(sources: Mapping[str, EncoderSource | None], model: Path | None, classes: int) -> Sequence[str]:
    """Ask which strategies to fit of those that the encoders can feed; each with its number of weights."""
    used = {m: source for m, source in sources.items() if source is not None}
    if not used and model is None:
        st.warning(NOTHING_READ)
        return ()
    try:
        specs = {m: fit_session.spec(m, source) for m, source in used.items()}
        if model is not None:
            specs = fit_session.model_specs(model)
            st.caption(markdown_safe(BESIDE.format(name=model.name, reads=" and ".join(specs))))
        sizes = fit_session.strategy_sizes(specs, max(2, classes))
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")
        return ()
    chosen = st.pills(
        "Strategies, with their number of weights",
        list(sizes),
        selection_mode="multi",
        default=list(sizes),
        format_func=lambda name: f"{say(name)} · {count(sizes[name])}",
        key=f"fit strategies {' '.join(specs)} {len(sizes)}",
    )
    return [name for name in sizes if name in chosen]
