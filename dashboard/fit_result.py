"""Fit's result: what every strategy is worth, the model card, the bundle to take away, and where to go on."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import streamlit as st

from dashboard import session, state
from dashboard.fit_progress import live_curves
from dashboard.fit_run import FitResult, FitRun
from dashboard.jobs import Job
from dashboard.views import fit as words
from dashboard.views.card import card_html
from dashboard.views.escape import markdown_safe
from dashboard.views.exports import refusals_jsonl
from dashboard.views.summary import count_of, left_out_table, reasons
from fusion_core.fit_plan import FitStep

Leave = Callable[[str], None]
NOTHING_KEPT = "The fit was stopped before a strategy was done: there is nothing to keep."
GONE = "This bundle is not kept any more: the last four of a browser are. Fit again to have it back."
KEPT = "It is in the model picker of every screen, in this browser only, until four newer ones or a restart replace it."


def ended_card(job: Job, screens: Collection[str], leave: Leave) -> None:
    """Show what came of a fit: its result, or in one sentence why there is none."""
    result = job.latest
    if isinstance(result, FitResult):
        _result(result, screens, leave)
    elif job.stopping or job.state == "stopped":
        st.info(NOTHING_KEPT)
    else:
        st.error(markdown_safe(f"Nothing was fitted: {job.said}"), icon=":material/report:")


def _result(result: FitResult, screens: Collection[str], leave: Leave) -> None:
    asked = result.asked
    st.markdown(
        f"**{markdown_safe(words.ended_sentence(result.name, result.fitted, asked.strategies, result.stopped))}** "
        f":small[:gray[on {markdown_safe(asked.set_name)}]]"
    )
    st.html(words.result_html(result.fitted, asked.source.distil))
    st.caption(markdown_safe(words.result_caption(result.fitted, asked.source.distil, asked.seed)))
    if any(place.model == result.folder for place in session.choices()):
        _ways_on(result, screens, leave)
    else:
        st.warning(GONE)
    for note in result.notes:
        st.caption(markdown_safe(f"{note[0].upper()}{note[1:]}."))
    _more(result)


def _ways_on(result: FitResult, screens: Collection[str], leave: Leave) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="fit ways on"):
        for screen, said in (("inspect", "Open in Inspect"), ("compare", "Compare its strategies")):
            if screen in screens and st.button(
                said, key=f"fit to {screen}", type="primary" if screen == "inspect" else "secondary"
            ):
                _lead_to(result, screen)
                leave(screen)
        st.download_button(
            "Bundle (zip)",
            partial(zipped, result.folder),
            f"{result.name}.zip",
            "application/zip",
            key="fit bundle",
            on_click="ignore",
            icon=":material/download:",
        )
    st.caption(KEPT)


def _lead_to(result: FitResult, screen: str) -> None:
    """Let the address lead to the fitted model and the records it was fitted on, under its best strategy."""
    own = session.bundles().link(session.browser(), result.folder)
    state.write_link(model=result.name, strategy=result.best, screen=screen, source="")
    state.move_to(own, "")


def zipped(folder: Path) -> bytes:
    """Return a bundle as a zip, its files in one folder of its name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return buffer.getvalue()


def _more(result: FitResult) -> None:
    with st.expander("How it learned"):
        live_curves(FitRun(result.asked), FitStep("save", None, 0, 0, None, result.curves, result.fitted))
    with st.expander("Model card"):
        st.html(card_html(result.card))
    if result.refused:
        with st.expander(f"Left out: {count_of(len(result.refused), 'row')}", icon=":material/report:"):
            st.caption("  \n".join(markdown_safe(reason) for reason in reasons(result.refused)))
            st.dataframe(left_out_table(result.refused), hide_index=True, width="stretch")
            st.download_button(
                "JSON lines, exact", refusals_jsonl(result.refused), "left-out.jsonl", "application/jsonl",
                key="fit left out", on_click="ignore",
            )  # fmt: skip
