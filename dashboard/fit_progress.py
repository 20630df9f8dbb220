"""Fit's third card: a fit under way, looked at again every second."""

from __future__ import annotations

import streamlit as st

from dashboard import session
from dashboard.fit_run import JOB, FitRun
from dashboard.jobs import Job
from dashboard.views import fit as words
from dashboard.views.escape import markdown_safe
from dashboard.views.fit_charts import curves
from dashboard.views.labels import waiting
from fusion_core.fit_plan import FitStep

EVERY = 1.0  # seconds
KEEPS_ON = "It goes on if you leave this page or reload it; another fit of yours can begin when it is done."


def progress_card(job: Job) -> None:
    """Show a job that has not ended; the page is drawn anew when it has."""
    st.fragment(_live, run_every=None if job.ended else EVERY)()


def _live() -> None:
    job = session.job(JOB)
    if job is None or job.ended:
        st.rerun()
    run = job.latest if isinstance(job.latest, FitRun) else None
    step = run.step if run else None
    left, right = st.columns([5, 2], vertical_alignment="center")
    left.markdown(f"**{_title(run)}** :small[:gray[{_sentence(job, step)}]]")
    right.button(
        "Stopping" if job.stopping else "Stop, keep what is done",
        key="fit stop",
        on_click=job.stop,
        disabled=job.stopping,
        icon=":material/stop_circle:",
        width="stretch",
    )
    if run is None or step is None:
        st.progress(0.0)
        return
    if step.stage == "encode":
        st.progress(min(1.0, step.done / max(1, step.of)))
    st.html(words.progress_html(step, run.asked.strategies))
    if step.curves:
        live_curves(run, step)
    st.caption(KEEPS_ON)


def _title(run: FitRun | None) -> str:
    return f"Fitting “{markdown_safe(run.asked.name)}” on {markdown_safe(run.asked.set_name)}" if run else "Your fit"


def _sentence(job: Job, step: FitStep | None) -> str:
    if job.state == "waiting" or job.ahead:
        return waiting(job.ahead)
    if job.stopping:
        return "Stopping at the end of this pass."
    return words.step_sentence(step) if step else "Loading the encoders."


def live_curves(run: FitRun, step: FitStep) -> None:
    """Draw accuracy over passes, for as long as it runs and afterwards."""
    distilling = run.asked.source.distil
    st.markdown("**Does it still get better?** :small[:gray[after every pass, on records held out of training]]")
    done = next(iter(step.fitted.values()), None)
    measure = "agreement with the teacher" if distilling else "validation accuracy"
    st.plotly_chart(curves(step.curves, done.chance if done else None, measure), key="fit curves")
    held = max(1, done.validation_records if done else run.asked.held)
    st.caption(
        f"n {held:,} held-out records, so one of them is {1 / held:.3f}. A line ends early when the loss does not fall "
        "for a fifth of the passes; the weights of the lowest loss are kept."
    )
