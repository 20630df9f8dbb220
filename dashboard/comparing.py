"""What is known of a comparison, and the work that makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dashboard import compare_session, session
from dashboard.compare_desk import CompareDesk
from dashboard.jobs import Job
from dashboard.views.changed import by_record
from fusion_core.compare.plan import Settings, piece_key
from fusion_core.compare.result import Against, Comparison, StrategyCost
from fusion_core.compare.run import Comparing
from fusion_core.compare.significance import against
from fusion_core.compare.store import Store


@dataclass(frozen=True)
class Told:
    """What a job knows by now: the comparison so far, and what it does within the piece at hand."""

    found: Comparison | None = None
    within: str = ""


def told_by(job: Job | None) -> Told:
    """Return what a job knows."""
    return job.latest if job is not None and isinstance(job.latest, Told) else Told()


def comparison_of(desk: CompareDesk) -> Comparison | None:
    """Return the comparison of the open set: what was found here, else what is saved beside the records."""
    own = told_by(session.job(desk.job_name)).found
    if own is not None and own.done >= own.planned:
        return own
    if desk.is_operators:
        whole = compare_session.finished_comparisons().get(desk.job_name)
        saved = compare_session.saved_comparison(desk.folder, desk.opened.key, desk.place.asked)
        return whole or saved or own
    return own


def costs_of(desk: CompareDesk) -> Mapping[str, StrategyCost]:
    """Return what strategies cost: as the comparison measured it, else by a short measurement."""
    found = comparison_of(desk)
    measured = {r.strategy: r.cost for r in found.strategies if r.cost} if found else {}
    return measured if set(desk.loaded.strategies) <= set(measured) else compare_session.costs(desk.folder)


def paired_with(desk: CompareDesk, found: Comparison) -> Mapping[str, Against]:
    """Return each strategy beside today's: as it was measured, else from the answers of the set where there are any."""
    if found.baseline == desk.today:
        return {r.strategy: r.against for r in found.strategies if r.against is not None}
    answers = desk.answers
    if answers is None:
        return {}
    wide = by_record(answers)
    if desk.today not in wide:
        return {}
    base = (wide[desk.today] == wide["label"]).to_numpy()
    return {
        r.strategy: against((wide[r.strategy] == wide["label"]).to_numpy(), base, desk.today)
        for r in found.strategies
        if r.strategy in wide and r.strategy != desk.today
    }


def start_comparison(desk: CompareDesk) -> None:
    """Start the comparison of the open set behind the screen, or go on with it: pieces that are done are kept."""
    read_files, pieces, finished = (
        session.file_reader(desk.opened),
        compare_session.pieces(),
        compare_session.finished_comparisons(),
    )
    loaded, rows, settings = desk.loaded, desk.opened.records.rows, Settings(baseline=desk.today)

    def work(job: Job) -> Told:
        told = Told()

        def within(what: str, done: int, total: int) -> None:
            job.tell(replace(told, within=f"{what} {done:,} of {total:,}"))

        with read_files():
            store = Store(pieces, piece_key(desk.place.model, rows, settings, desk.place.asked))
            for found in Comparing(loaded, rows, settings, store, desk.opened.name, within):
                told = Told(found)
                job.tell(told)
        if desk.is_operators and told.found is not None:
            finished[desk.job_name] = told.found
        return told

    session.start_job(desk.job_name, work)
