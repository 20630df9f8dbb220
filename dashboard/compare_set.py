"""Compare on the record set: the verdict with its evidence, the table, and what stands behind it; or the way there."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from dashboard import session
from dashboard.compare_desk import PARTS, CompareDesk
from dashboard.compare_detail import detail_cards
from dashboard.comparing import comparison_of, paired_with, start_comparison, told_by
from dashboard.jobs import Job
from dashboard.views.compare import left_out_words, progress_words, strategies_html, verdict_html
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import say, waiting
from fusion_core.compare.export import as_csv, as_json, as_parquet, long_table
from fusion_core.compare.result import Comparison

LOOK_AGAIN = 2.0  # seconds between two looks at work under way
FEW = 30  # labelled records, below which intervals are too wide to choose by
ABOUT = (
    "Every strategy answers every record: accuracy with intervals, calibration, robustness to each kind of fault, each "
    "modality left out, how much only their combination knows, and what it costs. Tables fill in from the first minute."
)

KEPT = (
    "It is kept until the server stops. Made with `python -m fusion_core compare --model MODEL --records DIR --out "
    "DIR`, and the model's `--labels` or `--task` where it takes any, it lies beside the records and is shown at once."
)


def set_part(desk: CompareDesk) -> None:
    """Show the comparison of this record set, or start it, or follow it while it runs."""
    job = session.job(desk.job_name)
    if job is not None and not job.ended:
        _under_way(desk)
        return
    if job is not None and job.state == "failed":
        st.error(f"The comparison stopped: {markdown_safe(job.said)}", icon=":material/report:")
    found = comparison_of(desk)
    if found is None:
        one = len(desk.loaded.strategies) < 2
        _offer(desk, "Measure it on these records" if one else "Compare all strategies on these records")
        return
    if job is not None and job.state == "stopped" and found.done < found.planned:
        st.caption("It was cancelled. The pieces that were done are kept, so it can go on from there.")
    if found.done < found.planned:
        _offer(desk, "Go on with the comparison")
    if found.done:
        comparison_cards(desk, found, done=found.done >= found.planned)


def _offer(desk: CompareDesk, words: str) -> None:
    """Say what a comparison would do, and place the button that starts it; or why there can be none."""
    count = len(desk.opened.records.records)
    with st.container(border=True, key="compare box offer"):
        if len(desk.loaded.strategies) < 2:
            only = markdown_safe(say(desk.loaded.strategies[0]))
            st.markdown(f"**How does {only} do on these records?**")
            st.caption(f"This model has one strategy, {only}: it is measured, but there is nothing to compare it with.")
        else:
            st.markdown("**Which strategy should we run?**")
        st.caption(ABOUT)
        if desk.judged < desk.labelled:
            st.caption(f"{desk.judged:,} of {desk.labelled:,} labels are classes of this model: only those are judged.")
        if not desk.labelled:
            st.caption("No record has a label: accuracy, and what would have changed, cannot be known here.")
        elif desk.labelled < FEW:
            st.caption(f"Only {desk.labelled} labelled records: the intervals will be wide.")
        if desk.is_operators:
            st.caption(KEPT)
        label = f"{words} ({count:,} record{'s' if count != 1 else ''})"
        st.button(label, type="primary", key="start comparison", on_click=start_comparison, args=(desk,))


@st.fragment(run_every=LOOK_AGAIN)
def _under_way(desk: CompareDesk) -> None:
    """Follow the work: how far it is, how long it takes, the way to stop it, and what is known by now."""
    job = session.job(desk.job_name)
    if job is None or job.ended:
        st.rerun()
        return
    known = told_by(job).found
    with st.container(border=True, key="compare box progress"), st.container(horizontal=True, key="compare run"):
        _say_progress(job)
        st.button("Cancel", key="stop comparison", on_click=job.stop, disabled=job.stopping)
    if known is not None and known.done:
        comparison_cards(desk, known, done=False)


def _say_progress(job: Job) -> None:
    told = told_by(job)
    if job.ahead:
        st.caption(waiting(job.ahead))
        return
    share, words = progress_words(told.found, told.within, time.monotonic() - job.started)
    st.progress(share, text="Stopping after this piece." if job.stopping else markdown_safe(words))


def comparison_cards(desk: CompareDesk, found: Comparison, done: bool) -> None:
    """Show what is known of a comparison: verdict, table, and the details that are there."""
    if verdict := verdict_html(found):
        with st.container(border=True, key="compare box verdict"):
            st.markdown("**Does this task need relations between modalities, or are they independent witnesses?**")
            st.html(verdict)
    with st.container(border=True, key="compare box table"):
        _table(desk, found, done)
    detail_cards(desk, found, done)


def _table(desk: CompareDesk, found: Comparison, done: bool) -> None:
    judged = any(report.quality for report in found.strategies)
    with st.container(horizontal=True, vertical_alignment="center"):
        what = f"{found.records:,} {'labelled ' if judged else ''}records, 95 % intervals"
        question = "Which strategy answers best, how surely, and at what cost?"
        st.markdown(f"**{question}** :small[:gray[{what}]]", width="stretch")
        if done:
            _exports(found)
    paired = paired_with(desk, found)
    st.html(strategies_html(found, paired, desk.today))
    notes = ["Dots: the figure; bars: its interval over resampled records. All on the same records."]
    if paired:
        notes.append(f"p: exact McNemar against {say(desk.today)}, each for itself.")
    if judged and not paired and found.baseline != desk.today:
        notes.append(
            f"It was compared with {say(found.baseline)}: for differences from {say(desk.today)}, answer the records "
            f"under *{PARTS['changed']}*."
        )
    if words := left_out_words(found):
        notes.append(markdown_safe(words))
    st.caption(" ".join(notes))


def _written(written: Callable[[pd.DataFrame], str | bytes], found: Comparison) -> str | bytes:
    return written(long_table(found))


def _exports(found: Comparison) -> None:
    """Offer every figure as a table, made when it is asked for."""
    kinds = (
        ("CSV, safe for spreadsheets", "csv", "text/csv", as_csv),
        ("Parquet, exact", "parquet", "application/octet-stream", as_parquet),
        ("JSON, exact", "json", "application/json", as_json),
    )
    with st.popover("Export", icon=":material/download:"):
        for words, suffix, mime, written in kinds:
            st.download_button(
                words,
                partial(_written, written, found),
                f"comparison_{found.model}.{suffix}",
                mime,
                key=f"as {suffix}",
                on_click="ignore",
                width="stretch",
            )
