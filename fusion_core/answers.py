"""Answers for whole record sets: every row ends as an answer or as an error with a code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from fusion_core.errors import RecordError
from fusion_core.model import FusedModel
from fusion_core.types import Failure, Inputs, Prediction, Record, Refusal

BATCH = 16


@dataclass(frozen=True)
class Answer:
    """What one strategy said about one record, and the fused vector it was read from, `float32 [F]`."""

    record: Record
    strategy: str
    prediction: Prediction
    present: tuple[str, ...]
    flags: tuple[str, ...]
    fused: np.ndarray


def answer_rows(
    model: FusedModel, rows: Iterable[Record | Refusal], strategies: Sequence[str], batch: int = BATCH
) -> Iterator[Answer | Failure]:
    """Answer rows in their order under each strategy; one bad record never takes others with it."""
    pending = iter(rows)
    while chunk := list(islice(pending, batch)):
        yield from _answer_chunk(model, chunk, strategies)


def _answer_chunk(
    model: FusedModel, chunk: Sequence[Record | Refusal], strategies: Sequence[str]
) -> Iterator[Answer | Failure]:
    good = [row for row in chunk if isinstance(row, Record)]
    failures: dict[int, Failure] = {}
    inputs = _prepared(model, good) if len(good) == len(chunk) else None
    if inputs is None:
        good, failures = _sorted_out(model, chunk)
    answers = iter(_answer_good(model, good, strategies, inputs or model.prepare(good)) if good else ())
    for place in range(len(chunk)):
        if place in failures:
            yield failures[place]
        else:
            yield from next(answers)


def _prepared(model: FusedModel, records: Sequence[Record]) -> Inputs | None:
    """Return the records' inputs, None unless all can be read: most chunks are then decoded once, not twice."""
    if not all(set(record.present()) & set(model.modalities) for record in records):
        return None
    try:
        return model.prepare(records)
    except RecordError:
        return None


def _sorted_out(model: FusedModel, chunk: Sequence[Record | Refusal]) -> tuple[list[Record], dict[int, Failure]]:
    """Return the records that can be read, and the failures of the other rows by their place."""
    good: list[Record] = []
    failures: dict[int, Failure] = {}
    for place, row in enumerate(chunk):
        if isinstance(row, Refusal):
            failures[place] = Failure(row.id, None, row.code, row.message)
            continue
        try:
            _readable(model, row)
            good.append(row)
        except RecordError as error:
            failures[place] = Failure(row.id, None, error.code, str(error))
    return good, failures


def _readable(model: FusedModel, record: Record) -> None:
    """Raise RecordError when the record has nothing the model reads or cannot be decoded."""
    if not set(record.present()) & set(model.modalities):
        raise RecordError(f"the record has none of {', '.join(model.modalities)}", "record_empty", record.id)
    model.prepare([record])


def _answer_good(
    model: FusedModel, records: Sequence[Record], strategies: Sequence[str], inputs: Inputs
) -> Iterator[list[Answer | Failure]]:
    with torch.no_grad():
        tokens = model.encode(inputs)
        embedded = {s: model.embed(tokens, s) for s in strategies}
    for row, record in enumerate(records):
        yield [_answer(model, record, s, embedded[s], inputs, row) for s in strategies]


def _answer(
    model: FusedModel,
    record: Record,
    strategy: str,
    embedded: tuple[torch.Tensor, torch.Tensor],
    inputs: Inputs,
    row: int,
) -> Answer | Failure:
    logits, fused = (part[row] for part in embedded)
    if not bool(torch.isfinite(logits).all()):
        message = f"{strategy} answered with NaN or infinity"
        return Failure(record.id, strategy, "nonfinite_output", message)
    prediction = Prediction(logits.double().softmax(0).numpy(), model.classes, record.label)
    vector = fused.float().numpy().copy()  # a view would keep the whole batch alive
    return Answer(record, strategy, prediction, tuple(inputs.axes(row)), inputs.notes[row], vector)
