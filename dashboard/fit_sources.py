"""What can be fitted on: the operator's record sets, this browser's uploads, and what was logged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboard import fit_session, log_session, session
from dashboard.options import Workplace
from dashboard.uploads import OpenSet
from fusion_core.fit_plan import Teacher
from fusion_core.reading.records import RecordSet

UPLOAD = "upload "


@dataclass(frozen=True)
class Source:
    """A record set to fit on: a folder of the operator, a run of a log, or an upload.

    key: what stands in the address. distil: the logged model's own answers are learned instead of labels.
    """

    key: str
    label: str
    folder: Path | None = None
    log: Path | None = None
    run: str = ""
    distil: bool = False
    upload: str = ""


@dataclass(frozen=True)
class FitSet:
    """An opened record set. teacher: whose answers stand in for labels, None where the labels are learned."""

    source: Source
    opened: OpenSet
    teacher: Teacher | None = None

    @property
    def records(self) -> RecordSet:
        """Its rows."""
        return self.opened.records


def sources(places: list[Workplace], shown: Workplace | None) -> list[Source]:
    """Return every set there is, those of the shown model first, then uploads, the log, and the other models' sets."""
    own, others = _of_models([shown] if shown else []), _of_models(places)
    uploads = [Source(UPLOAD + key, f"your upload {u.name}", upload=key) for key, u in session.own_sets().items()]
    found: dict[object, Source] = {}
    for source in (*own, *uploads, *_of_log(places), *others):
        found.setdefault(source.folder or source.key, source)
    return list(found.values())


def _of_models(places: list[Workplace]) -> list[Source]:
    return [
        Source(f"{word} {place.name}", f"{place.name} · {folder.name}", folder=folder)
        for place in places
        for word, folder in (("records", place.records), ("training", place.training))
        if folder is not None
    ]


def _of_log(places: list[Workplace]) -> list[Source]:
    place = next((place for place in places if place.log is not None), None)
    if place is None or place.log is None:
        return []
    log, runs = place.log, log_session.log_runs(place.log, place.name)
    named = [(run, f"log {log.name} · {run}") for run in runs]
    return [Source(f"log {run}", name, log=log, run=run) for run, name in named] + [
        Source(f"distil {run}", f"{name}, without labels: its model's own answers", log=log, run=run, distil=True)
        for run, name in named
    ]


def open_source(source: Source) -> FitSet | None:
    """Open a set; None for an upload that is not kept any more. Raises CallError when it cannot be read."""
    if source.upload:
        upload = session.own_sets().get(source.upload)
        if upload is None:
            return None
        return FitSet(source, OpenSet(source.upload, upload.name, upload.records, upload, source.upload))
    if source.log is not None:
        records, teacher = fit_session.log_records(source.log, source.run, source.distil)
        mark = hashlib.sha256(f"{source.log} {source.key}".encode()).hexdigest()[:16]
        name = f"{source.log.name} · {source.run}"
        return FitSet(source, OpenSet(f"fit-{mark}", name, records, link=f"fit-{mark}"), teacher)
    assert source.folder is not None
    return FitSet(source, OpenSet(str(source.folder), source.folder.name, session.record_set(str(source.folder))))


def learned(found: FitSet, labels: Mapping[str, str | None]) -> dict[str, str]:
    """Return what is learned of each record, by id: its label as corrected, or the teacher's answer."""
    if found.teacher is not None:
        given = found.teacher.probabilities
        best = {id: max(range(len(shares)), key=shares.__getitem__) for id, shares in given.items()}
        return {r.id: found.teacher.classes[best[r.id]] for r in found.records.records if r.id in best}
    own = {record.id: labels.get(record.id, record.label) for record in found.records.records}
    return {id: label for id, label in own.items() if label is not None}
