"""Where a fit's records and a teacher's answers come from besides a record set: a log, a model, decisions on labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fusion_core.asked import Asked
from fusion_core.diagnose.logged import record_of
from fusion_core.encoders import EncoderRoots
from fusion_core.errors import CallError, RecordError
from fusion_core.fit import logits
from fusion_core.fit_data import class_list
from fusion_core.fit_plan import Teacher
from fusion_core.foreign import is_foreign, question_of
from fusion_core.log.asking import Filter, Order
from fusion_core.log.queries import MOST_ROWS, by_slice, found_rows, page
from fusion_core.log.runs import only_run
from fusion_core.log.schema import Logged
from fusion_core.log.store import Store
from fusion_core.model import FusedModel
from fusion_core.opening import open_fused
from fusion_core.reading.metadata import parse_object
from fusion_core.reading.paths import open_regular
from fusion_core.reading.records import RecordSet
from fusion_core.reading.texts import quoted
from fusion_core.tokens import Progress, encode_records
from fusion_core.types import Record, Refusal

MOST_RECORDS = 100_000
MAX_LABELS_BYTES = 20_000_000


def records_of_log(
    log: Path, run: str = "", distil: bool = False, strategy: str = ""
) -> tuple[RecordSet, Teacher | None]:
    """Return a run's records, each once, oldest first; with distil the answers of the logged model as a teacher.

    Without distil only rows with a label are taken. run: empty for the log's only one. strategy: whose answers; empty
    where the run has one strategy's only. Raises CallError when there is nothing to take, or more than 100,000 rows.
    """
    with Store(log, run or only_run(log)) as store:
        teaching = _strategy(store, strategy) if distil else strategy or None
        rows: dict[str, Record | Refusal] = {}
        answers: dict[str, tuple[float, ...]] = {}
        classes = store.opened[0].run.classes
        for logged in _logged(store, teaching):
            if logged.id in rows or (logged.label is None and not distil):
                continue
            if len(rows) == MOST_RECORDS:
                raise CallError(f"the run has more than {MOST_RECORDS:,} records to fit on; give a smaller one")
            rows[logged.id] = record_of(store, logged)
            if distil:
                answers[logged.id] = _probabilities(logged, classes)
    if not rows:
        raise CallError(
            f"run {quoted(store.opened[0].run.name)} has no row with a label; "
            "distil its model's own answers instead, or give a record set with labels"
            if not distil
            else f"run {quoted(store.opened[0].run.name)} has no answered row"
        )
    name = " ".join(part for part in (store.opened[0].run.model or "the logged model", teaching or "") if part)
    return RecordSet(tuple(rows.values())), Teacher(name, classes, answers) if distil else None


def teacher_of(
    model: FusedModel,
    records: Sequence[Record],
    strategy: str = "",
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Teacher:
    """Return a model's answers to records as a teacher; records it cannot read have none.

    Raises CallError for an unknown strategy, and for one at chance: it has nothing to teach.
    """
    name = strategy or model.default_strategy
    head = model.head(name)
    if model.fitted[name].status == "chance":
        raise CallError(f"strategy {name!r} of {model.name!r} is no better than chance: it has nothing to teach")
    tokens, _ = encode_records(model.stack, records, progress, cache)
    if not len(tokens):
        raise CallError(f"{model.name!r} can read none of the records")
    said = torch.softmax(logits(head, tokens).double(), dim=1).tolist()
    answers = {one: tuple(row) for one, row in zip(tokens.ids, said, strict=True)}
    return Teacher(f"{model.name} {name}", model.classes, answers)


def open_teacher(
    path: Path, roots: EncoderRoots | None, records: Sequence[Record], labels: tuple[str, ...] = ()
) -> FusedModel:
    """Open whose answers are learned; a foreign model is asked `labels`, or the labels that the records have.

    Raises CallError for labels of a bundle, which has its own, and where there are fewer than two.
    """
    if not is_foreign(path):
        return open_fused(path, roots, Asked(labels=labels))
    classes = labels or class_list([record.label for record in records])
    return open_fused(path, roots, question_of(classes), lambda: records)


def read_labels(path: Path) -> dict[str, str | None]:
    """Read decisions on labels, JSON lines of `{"id", "label"}`; a null label leaves the record out.

    Raises CallError, naming the line, for anything else; other keys, as in the lines of `review`, are not read.
    """
    try:
        with open_regular(path, path.name) as file:
            data = file.read(MAX_LABELS_BYTES + 1)
    except (OSError, RecordError) as error:
        raise CallError(f"labels file {quoted(path.name)} cannot be read") from error
    if len(data) > MAX_LABELS_BYTES:
        raise CallError(f"labels file {quoted(path.name)} is over {MAX_LABELS_BYTES:,} bytes", "file_too_large")
    found: dict[str, str | None] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            name, label = _decision(line, f"line {number} of {quoted(path.name)}")
            found[name] = label
    return found


def _decision(line: bytes, where: str) -> tuple[str, str | None]:
    try:
        entry = parse_object(line)
    except (ValueError, RecursionError) as error:
        raise CallError(f"{where} is no JSON object") from error
    name, label = entry.get("id"), entry.get("label")
    if not isinstance(name, str) or "label" not in entry or not (label is None or (isinstance(label, str) and label)):
        raise CallError(f'{where} must be {{"id": text, "label": text or null}}')
    return name, label


def _logged(store: Store, strategy: str | None) -> Sequence[Logged]:
    """Return the rows of a strategy, or of all, in the order of their time."""
    order = Order("timestamp", descending=False)
    rows: list[Logged] = []
    while True:
        found = page(store, Filter(strategy=strategy), order, len(rows), MOST_ROWS)
        rows += [one.logged for one in found_rows(store, found)]
        if len(found) < MOST_ROWS:
            return rows
        if len(rows) > 10 * MOST_RECORDS:
            raise CallError(f"the run has more than {10 * MOST_RECORDS:,} rows; give a smaller one")


def _strategy(store: Store, wanted: str) -> str | None:
    """Return whose answers are to be learned; CallError where the run has several strategies' and none was named."""
    there = [str(name) for name in by_slice(store, "strategy")["value"]]
    if wanted and wanted not in there:
        raise CallError(f"the run has no answers of {quoted(wanted)}; it has those of {', '.join(sorted(there))}")
    if not wanted and len(there) > 1:
        raise CallError(f"the run has answers of {', '.join(sorted(there))}; name the one to learn from")
    return wanted or (there[0] if there else None)


def _probabilities(logged: Logged, classes: tuple[str, ...]) -> tuple[float, ...]:
    """Return what was answered as probabilities; all on the answer where the log has none that can be learned from."""
    found = logged.probabilities
    if found is not None and len(found) == len(classes) and all(0.0 <= p <= 1.0 for p in found) and sum(found) > 0.5:
        return found
    if logged.prediction not in classes:
        raise CallError(f"the run answers {quoted(logged.prediction)}, which is not among its classes")
    return tuple(float(name == logged.prediction) for name in classes)
