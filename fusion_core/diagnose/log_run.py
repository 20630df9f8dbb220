"""Diagnose a run of a log: every row's cause, the map of its failures and the findings, kept beside the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from fusion_core.diagnose.failures import driven_by, failure_map
from fusion_core.diagnose.logged import logged_records
from fusion_core.diagnose.look import look
from fusion_core.diagnose.population import findings
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.reference_file import kept_of, load_reference
from fusion_core.diagnose.repeats import Memory
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.run import examine
from fusion_core.errors import CallError, RecordError
from fusion_core.log.asking import Filter
from fusion_core.log.diagnosed import CAUSES, Diagnosed, save_diagnosis
from fusion_core.log.queries import by_slice, count
from fusion_core.log.runs import run_folder
from fusion_core.log.schema import Logged
from fusion_core.log.store import Store
from fusion_core.model import FusedModel
from fusion_core.reading.texts import quoted
from fusion_core.types import Diagnosis, Failure, Finding, Record, Refusal

MOST_NAMED = 10  # strategies of a run, in an error
Progress = Callable[[str, int, int], None]


def _quietly(what: str, done: int, total: int) -> None:
    """Tell nobody how far it is."""


@dataclass
class _Found:
    """What is kept of the records examined so far."""

    rows: list[Row] = field(default_factory=list)
    said: list[Diagnosis] = field(default_factory=list)
    driven: dict[int, np.ndarray] = field(default_factory=dict)  # features of failures by their place in `said`
    unread: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class LogDiagnosis:
    """A diagnosed run: one diagnosis per row that could be read, the rows that could not, findings, and the causes."""

    said: tuple[Diagnosis, ...]
    unread: tuple[Failure, ...]
    findings: tuple[Finding, ...]
    causes: pa.Table
    strategy: str  # the logged one

    def summary(self, run: str, model_mark: str) -> Diagnosed:
        """Return what is kept of it beside the causes."""
        return Diagnosed(run, self.strategy, model_mark, len(self.said), len(self.unread), self.findings)


def diagnose_log(
    model: FusedModel, bundle: Path, log: Path, run: str, progress: Progress = _quietly, strategy: str = ""
) -> LogDiagnosis:
    """Diagnose a run of a log with the model of a bundle, keep what is found beside the run, and return it."""
    reference = load_reference(bundle, model)
    with Store(log, run) as store:
        found = diagnose_run(model, reference, store, progress, strategy)
    summary = found.summary(run, kept_of(bundle, model).mark)
    save_diagnosis(run_folder(log, run), found.causes, summary)
    return found


def diagnose_run(
    model: FusedModel, reference: Reference, store: Store, progress: Progress = _quietly, strategy: str = ""
) -> LogDiagnosis:
    """Diagnose the rows of a store opened on one run, those of one strategy, by the head the reference was made with.

    What the service answered is what counts as right or wrong, and how sure it was, not what the model would say now.
    strategy: whose rows, as logged; see `logged_strategy`. Raises CallError when the run has none.
    """
    strategy = logged_strategy(store, reference.strategy, strategy)
    total = count(store, Filter(strategy=strategy))
    found, memory = _Found(), Memory()
    for number, (record, logged) in enumerate(logged_records(store, strategy), 1):
        _examine(model, reference, memory, record, logged, found)
        progress("diagnosed", number, total)
    causes = _causes(model, found, strategy)
    told = tuple(findings(found.rows, reference, progress))
    return LogDiagnosis(tuple(found.said), tuple(found.unread), told, causes, strategy)


def logged_strategy(store: Store, usual: str, wanted: str = "") -> str:
    """Return whose rows of a run are asked for: `wanted`, else `usual`, else the run's only strategy.

    Raises CallError for a strategy the run does not have, where there are several to choose from, or no answered row.
    """
    there = sorted(str(name) for name in by_slice(store, "strategy")["value"])
    if not there:
        raise CallError("the run has no answered row to diagnose")
    if wanted and wanted not in there:
        raise CallError(f"the run has no strategy {quoted(wanted)}; it has {_listed(there)}")
    if wanted or usual in there or len(there) == 1:
        return wanted or (usual if usual in there else there[0])
    raise CallError(
        f"the run has the strategies {_listed(there)}, and none is {quoted(usual)}, "
        "which the reference was made with; name one with --log-strategy"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(quoted(name) for name in names[:MOST_NAMED]) + more


def _examine(
    model: FusedModel, reference: Reference, memory: Memory, record: Record | Refusal, logged: Logged, found: _Found
) -> None:
    if isinstance(record, Refusal):
        found.unread.append(Failure(record.id, None, record.code, record.message))
        return
    repeats = memory.repeats(record)
    try:
        seen, tokens = look(model, record, reference.strategy)
    except RecordError as error:
        found.unread.append(Failure(record.id, None, error.code, str(error)))
        return
    examined = examine(model, reference, record, seen, tokens, repeats)
    right = logged.correct
    if right is False or (right is None and examined.diagnosis.cause.fault != "none"):
        found.driven[len(found.said)] = driven_by(model, tokens, reference.strategy)
    found.said.append(examined.diagnosis)
    found.rows.append(replace(examined.row(), correct=right, confidence=_finite(logged.confidence)))


def _finite(confidence: float | None) -> float | None:
    """Return a logged confidence; rows that were imported or recorded may have none."""
    return confidence if confidence is not None and math.isfinite(confidence) else None


def _causes(model: FusedModel, found: _Found, strategy: str) -> pa.Table:
    places = dict(zip(found.driven, failure_map(list(found.driven.values()), len(model.modalities)), strict=True))
    rows = []
    for number, (said, row) in enumerate(zip(found.said, found.rows, strict=True)):
        place = places.get(number)
        sentence = next((clue.sentence for clue in said.clues if clue.rule == row.rule), "")
        rows.append(
            {
                "id": said.record_id,
                "strategy": strategy,
                "cause": f"{said.cause.modality} {said.cause.fault}",
                "score": said.cause.score,
                "rule": row.rule,
                "said": sentence,
                "x": place.x if place else None,
                "y": place.y if place else None,
                "cluster": place.cluster if place else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=CAUSES)
