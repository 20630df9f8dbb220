"""What is known of a comparison, and the work that makes one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from fusion_core.compare.significance import against

from dashboard import session
from dashboard.compare_desk import CompareDesk
from dashboard.jobs import Job
from dashboard.views.changed import by_record
from fusion_core.compare.result import Against, Comparison


def comparison_of(desk: CompareDesk) -> Comparison | None:
    """Return the comparison of the open set: what this browser's job found, else what is saved beside the records."""
    job = session.job(desk.job_name)
    told = job.latest if job is not None and isinstance(job.latest, Comparison) else None
    if told is not None and told.done >= told.planned:
        return told
    if desk.opened.upload is None and not desk.opened.link:
        saved = session.saved_comparison(desk.folder, desk.opened.key)
        return saved or told
    return told


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
    right = {r.strategy: (wide[r.strategy] == wide["label"]).to_numpy() for r in found.strategies if r.strategy in wide}
    base = right.get(desk.today, np.zeros(0, dtype=bool))
    return {name: against(own, base, desk.today) for name, own in right.items() if name != desk.today}


def start_comparison(desk: CompareDesk) -> None:
    """Start, or go on with, the comparison of the open set behind the screen."""
    reader, loaded = session.file_reader(desk.opened), desk.loaded

    def work(job: Job) -> Comparison:
        raise NotImplementedError(reader, loaded)

    session.start_job(desk.job_name, work)
