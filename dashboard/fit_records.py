"""Fit's first card: which records, and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from dashboard import fit_session, state
from dashboard.fit_sources import UPLOAD, FitSet, Source, learned, open_source, sources
from dashboard.options import Workplace
from dashboard.uploads import Upload
from dashboard.views.escape import markdown_safe
from dashboard.views.fit import Account, account, account_html
from dashboard.views.labels import NOT_YOURS
from fusion_core.errors import CallError, FusionError
from fusion_core.fit_data import fit_data
from fusion_core.fit_plan import FitPlan

NO_SETS = "There are no records to fit on yet. Upload a record set: a zip, CSV, JSON lines or Parquet with labels."


def pick_records(
    places: list[Workplace], shown: Workplace | None, upload: Callable[[], None], account_of: Callable[[Upload], None]
) -> FitSet | None:
    """Ask for a record set; the address keeps what was picked. `upload` offers a new one."""
    found = sources(places, shown)
    with st.container(horizontal=True, vertical_alignment="bottom", key="fit source bar"):
        source = _pick_source(found)
        upload()
    if source is None:
        st.info(NO_SETS)
        return None
    state.write_link(screen="fit", source=source.key)
    try:
        opened = open_source(source)
    except FusionError as error:
        st.error(markdown_safe(str(error)), icon=":material/report:")
        return None
    if opened is not None and opened.opened.upload is not None:
        account_of(opened.opened.upload)
    return opened


def _pick_source(found: list[Source]) -> Source | None:
    if not found:
        return None
    keys = [source.key for source in found]
    asked = state.link().get("source", "")
    if asked.startswith(UPLOAD) and asked not in keys:
        st.warning(NOT_YOURS, icon=":material/lock:")
    at = keys.index(asked) if asked in keys else 0
    return st.selectbox("Records", found, at, format_func=lambda source: source.label, key=f"fit source {_turn()}")


def _turn() -> str:
    """Name the picker: a new one, that begins at the address, after an upload, and after the browser's Back."""
    return f"{state.recall('fit turns') or 0} {state.jumps()}"


def begin_anew(key: str) -> None:
    """Let the picker begin at a source."""
    state.write_link(screen="fit", source=key)
    turns = state.recall("fit turns")
    state.remember("fit turns", (turns if isinstance(turns, int) else 0) + 1)


@dataclass(frozen=True)
class Ready:
    """What a set holds, how many of its records would be held out, and why it cannot be fitted on ("": it can)."""

    counted: Account
    held: int
    refusal: str


def records_card(found: FitSet) -> Ready:
    """Show what a set holds, and say so when it cannot be fitted on."""
    labels = decided(found)
    told = learned(found, labels)
    held, refusal = _held_out(found, labels)
    counted = account(found.records, told)
    st.markdown(f"**What is in {markdown_safe(found.opened.name)}?** :small[:gray[counted before anything is fitted]]")
    st.html(account_html(counted, found.teacher.name if found.teacher else None))
    if refusal:
        st.error(markdown_safe(f"{refusal[0].upper()}{refusal[1:]}."), icon=":material/block:")
    return Ready(counted, held, refusal)


def decided(found: FitSet) -> dict[str, str | None]:
    """Return what this browser decided about labels of a set; a teacher's answers are nobody's to correct."""
    return {} if found.teacher else fit_session.decisions(found.source.key)


def _held_out(found: FitSet, labels: Mapping[str, str | None]) -> tuple[int, str]:
    """Return how many records a fit would hold out, else the library's own words for why it would refuse the set."""
    try:
        return len(fit_data(FitPlan("", found.records, teacher=found.teacher, labels=labels)).validation), ""
    except CallError as error:
        return 0, str(error)
