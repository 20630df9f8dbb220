"""Label review: labels that the other records argue against, to accept, keep or leave out, and a refit with that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from dashboard import fit_session, session, state
from dashboard.fit_records import decided
from dashboard.fit_run import JOB, FitResult, start_fit
from dashboard.fit_sources import FitSet
from dashboard.jobs import Job, Work
from dashboard.options import Workplace
from dashboard.views import review as words
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import say, waiting
from fusion_core import review
from fusion_core.model import FusedModel
from fusion_core.review import Suspect

PER_PAGE, ABREAST = 6, 3
EVERY = 1.0  # seconds
TITLE = "**Which labels may be wrong?** :small[:gray[judged by a classifier that did not see the record]]"
ABOUT = (
    "A plain classifier on the same encoders judges every record after it was fitted without it, five folds. Those it "
    "gives another class are listed, first those that the head found hard to learn too. Nothing changes by itself."
)


@dataclass(frozen=True)
class Reviewed:
    """What a review found, and what judged."""

    model: str
    strategy: str
    found: tuple[Suspect, ...]


def review_card(found: FitSet, places: list[Workplace], fitted: FitResult | None) -> None:
    """Offer a review of a labelled set, show one under way, and the suspects when it is done."""
    st.markdown(TITLE)
    job = session.job(job_name(found))
    if job is not None and not job.ended:
        st.fragment(_live, run_every=EVERY)(job_name(found))
        return
    _ask(found, places, fitted)
    if job is None:
        st.caption(ABOUT)
    elif not isinstance(job.latest, Reviewed):
        st.info("The review was stopped.") if job.stopping else st.error(markdown_safe(job.said))
    else:
        _suspects(job.latest, found, fitted)


def job_name(found: FitSet) -> str:
    """Return the name of the job that reviews this set."""
    return f"label review · {found.source.key}"


def _live(name: str) -> None:
    job = session.job(name)
    if job is None or job.ended:
        st.rerun()
    what, done, of = job.latest if isinstance(job.latest, tuple) else ("", 0, 0)
    said = (
        waiting(job.ahead) if job.state == "waiting" or job.ahead else f"{what} {done:,} of {of:,}" if of else "Begins."
    )
    st.progress(min(1.0, done / max(1, of)), text=markdown_safe(said))
    st.button("Stop", key="review stop", on_click=job.stop, disabled=job.stopping)


def _ask(found: FitSet, places: list[Workplace], fitted: FitResult | None) -> None:
    """Ask which model and strategy judge, those that were fitted on these records first."""
    own = fitted.folder if _is_of(fitted, found) and fitted else None
    at = next((k for k, place in enumerate(places) if place.model == own), 0)
    with st.container(horizontal=True, vertical_alignment="bottom", key="review bar"):
        place = st.selectbox(
            "Model", places, at, format_func=lambda p: p.name, key=f"review model {at} {len(places)}", width=220
        )
        strategy = ""
        if fitted is not None and place.model == own:
            names = [name for name, one in fitted.fitted.items() if one.status != "chance"]
            first = names.index(fitted.best) if fitted.best in names else 0
            strategy = st.selectbox("Strategy", names, first, format_func=say, key=f"review strategy {own}", width=220)
        pressed = st.button("Look for suspect labels", key="review start", icon=":material/search:")
    if pressed:
        loaded = session.model(str(place.model))
        session.start_job(job_name(found), _work(found, loaded, place.name, strategy or loaded.default_strategy))
        st.rerun()


def _is_of(fitted: FitResult | None, found: FitSet) -> bool:
    return fitted is not None and fitted.asked.source.key == found.source.key


def _work(found: FitSet, model: FusedModel, name: str, strategy: str) -> Work:
    reading, tokens = session.file_reader(found.opened), fit_session.token_folder(found.opened)

    def work(job: Job) -> Reviewed:
        def progress(what: str, done: int, of: int) -> None:
            job.tell((what, done, of))

        with reading():
            listed = review.suspects(model, found.records, strategy, tokens, progress)
        return Reviewed(name, strategy, listed)

    return work


def _suspects(reviewed: Reviewed, found: FitSet, fitted: FitResult | None) -> None:
    """Show a page of suspects, the most suspect first."""
    count = len(reviewed.found)
    if not count:
        st.success(f"No label of these {len(found.records.records):,} records stands out.")
        return
    pages = -(-count // PER_PAGE)
    kept = state.recall("review page")
    page = min(kept if isinstance(kept, int) else 0, pages - 1)
    shown = reviewed.found[page * PER_PAGE : (page + 1) * PER_PAGE]
    labels = decided(found)
    for row in range(0, len(shown), ABREAST):
        for column, suspect in zip(st.columns(ABREAST), shown[row : row + ABREAST], strict=False):
            with column.container(border=True, key=f"suspect {page} {row} {shown.index(suspect)}"):
                _suspect(suspect, found, labels)
    if pages > 1:
        _pager(page, pages, count)
    _decisions(found, fitted, labels)


def _pager(page: int, pages: int, count: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="review pages"):
        back, on = max(0, page - 1), min(pages - 1, page + 1)
        st.button("‹", key="review back", help="More suspect", on_click=_turn_to, args=(back,), disabled=page == 0)
        st.caption(f"{page + 1} of {pages}, {count} suspects, the most suspect first", width="content")
        st.button("›", key="review on", help="Less suspect", on_click=_turn_to, args=(on,), disabled=on == page)


def _turn_to(page: int) -> None:
    state.remember("review page", page)


def _suspect(suspect: Suspect, found: FitSet, labels: dict[str, str | None]) -> None:
    glimpse = fit_session.suspect_glimpse(found.opened, found.records.find(suspect.id))
    st.html(words.suspect_html(suspect, glimpse))
    if glimpse.samples is not None:
        st.audio(glimpse.samples, sample_rate=glimpse.rate)
    said = {
        words.TAKE: f"take {markdown_safe(suspect.suggested)}",
        words.KEEP: f"keep {markdown_safe(suspect.label)}",
        words.LEAVE: "leave out",
    }
    key = f"decide {found.source.key} {suspect.id}"
    st.segmented_control(
        "Decision",
        list(said),
        default=words.choice_of(suspect, labels),
        format_func=said.__getitem__,
        label_visibility="collapsed",
        key=key,
        on_change=partial(_decide, key, suspect, labels),
    )


def _decide(key: str, suspect: Suspect, labels: dict[str, str | None]) -> None:
    choice = state.recall(key)
    if choice is None:
        labels.pop(suspect.id, None)
    else:
        labels[suspect.id] = words.label_for(suspect, str(choice))


def _decisions(found: FitSet, fitted: FitResult | None, labels: Mapping[str, str | None]) -> None:
    """Say what was decided, offer it to take away, and to fit again with it."""
    own = {record.id: record.label for record in found.records.records}
    with st.container(horizontal=True, vertical_alignment="center", key="review decisions"):
        st.markdown(words.decided_sentence(labels, own), width="content")
        running = session.job(JOB)
        busy = running is not None and not running.ended
        if (
            fitted is not None
            and _is_of(fitted, found)
            and st.button("Fit again with these decisions", key="refit", type="primary", disabled=not labels or busy)
        ):
            start_fit(replace(fitted.asked, labels=dict(labels)), found)
            st.rerun()
        st.download_button(
            "Decisions (JSON lines)", words.decisions_jsonl(labels), "labels.jsonl", "application/jsonl",
            key="decisions", on_click="ignore", disabled=not labels, icon=":material/download:",
        )  # fmt: skip
    st.caption("`python -m fusion_core fit --labels labels.jsonl` takes them too; null leaves a record out.")
