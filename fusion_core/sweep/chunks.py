"""One chunk of a sweep: answered in batches of like length, written in the order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from fusion_core.answers import Answer, answer_rows
from fusion_core.errors import RecordError
from fusion_core.log.commit import commit
from fusion_core.log.entries import columns_of, flag_names, keep_by_content, slice_cells
from fusion_core.log.kept import naming_media
from fusion_core.log.parts import errors_table, rows_table
from fusion_core.log.schema import Logged, LoggedError, Run
from fusion_core.model import FusedModel
from fusion_core.reading.media import read_media
from fusion_core.reading.records import RecordSet
from fusion_core.sweep.plan import Plan, is_own
from fusion_core.types import Failure, Media, Record, Refusal

#: Places of rows in the record set that are answered at once.
Group = tuple[int, ...]
Found = list[Answer | Failure]


@dataclass(frozen=True)
class Task:
    """A chunk to be answered: groups that are answered apart from its batches, and rows not answered at all.

    Both come from workers that died: of rows in `fragile` one is the culprit, those in `skipped` are.
    """

    number: int
    fragile: tuple[Group, ...] = ()
    skipped: Group = ()

    def after_death(self, group: Group, batch: int) -> Task:
        """Return what to do when a worker died of a group: its parts one after the other, or, of one row, none."""
        rest = tuple(g for g in self.fragile if g != group)
        if len(group) == 1:
            return Task(self.number, rest, (*self.skipped, *group))
        return Task(self.number, (*rest, *smaller(group, batch)), self.skipped)


def smaller(group: Group, batch: int) -> tuple[Group, ...]:
    """Return a group in two halves, or row by row when it is half a batch already."""
    middle = len(group) // 2
    return (group[:middle], group[middle:]) if len(group) > batch // 2 else tuple((place,) for place in group)


class ChunkWriter:
    """Answers chunks of a record set and puts them into the log."""

    def __init__(self, plan: Plan, model: FusedModel, records: RecordSet, run: Run) -> None:
        self.plan, self.model, self.run = plan, model, run
        self.records, self.rows = records, records.rows  # unpacked media live as long as the set they came with
        self._columns = columns_of(run)

    def write(self, task: Task, announce: Callable[[Group], None] = lambda group: None) -> None:
        """Answer a chunk and make it part `task.number`; `announce` hears every group before it is answered."""
        places = self.plan.places(task.number)
        found = dict(self._answer(task, announce))
        answered: list[Logged] = []
        errors: list[LoggedError] = []
        with naming_media(self.plan.log):
            for place in places:
                row = self.rows[place]
                for end in found[place]:
                    if isinstance(end, Failure):
                        errors.append(_error(row, end))
                    else:
                        self._add(end, answered, errors)
            # Errors come last: a chunk is done when its errors are there, or answers for every row of it.
            if answered:
                commit(self.plan.folder, "parts", rows_table(answered, self.run), task.number)
        if errors:
            commit(self.plan.folder, "errors", errors_table(errors), task.number)

    def _answer(self, task: Task, announce: Callable[[Group], None]) -> Iterator[tuple[int, Found]]:
        apart = {place for group in task.fragile for place in group}.union(task.skipped)
        groups = batches(self.rows, self.plan.places(task.number), self.plan.batch)
        pending = deque((*_without(groups, apart), *task.fragile))
        for place in task.skipped:
            yield place, [_exhausted(self.rows[place])]
        while pending:
            group = pending.popleft()
            announce(group)
            try:
                yield from self._answer_group(group)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if len(group) == 1:
                    yield group[0], [_exhausted(self.rows[group[0]])]
                else:
                    pending.extendleft(reversed(smaller(group, self.plan.batch)))

    def _answer_group(self, group: Group) -> list[tuple[int, Found]]:
        rows = [self.rows[place] for place in group]
        ends = iter(list(answer_rows(self.model, rows, self.plan.strategies, max(1, len(rows)))))
        found: list[tuple[int, Found]] = []
        for place in group:
            first = next(ends)
            whole = isinstance(first, Failure) and first.strategy is None
            found.append((place, [first] if whole else [first, *(next(ends) for _ in self.plan.strategies[1:])]))
        return found

    def _add(self, answer: Answer, answered: list[Logged], errors: list[LoggedError]) -> None:
        try:
            answered.append(self._row(answer))
        except RecordError as error:  # its media went between the answer and now
            failure = Failure(answer.record.id, answer.strategy, error.code, str(error))
            errors.append(_error(answer.record, failure))

    def _row(self, answer: Answer) -> Logged:
        record, said = answer.record, answer.prediction
        latency = record.meta.get("latency_ms")
        slices = {column: value for column, value in record.meta.items() if not is_own(column, value)}
        return Logged(
            record.id,
            answer.strategy,
            said.top,
            said.confidence,
            tuple(said.probabilities.tolist()),
            record.timestamp,
            _release(record),
            record.label,
            float(latency) if latency is not None and is_own("latency_ms", latency) else None,
            answer.present,
            flag_names(answer.flags),
            record.text,
            self._kept(record.image),
            self._kept(record.audio),
            slice_cells(slices, self._columns, self.run.slices),
        )

    def _kept(self, media: Media | None) -> str | None:
        return None if media is None else keep_by_content(self.plan.log, read_media(media))


def batches(rows: Sequence[Record | Refusal], places: Collection[int], batch: int) -> list[Group]:
    """Return the places of a chunk in batches of rows that have the same modalities and texts of like length."""

    def likeness(place: int) -> tuple[int, int]:
        row = rows[place]
        if isinstance(row, Refusal):
            return (0, 0)
        return (1 + sum(2**k for k, m in enumerate((row.image, row.audio)) if m is not None), len(row.text or ""))

    order = sorted(places, key=likeness)
    return [tuple(order[start : start + batch]) for start in range(0, len(order), batch)]


def _without(groups: list[Group], apart: set[int]) -> Iterator[Group]:
    rest = (tuple(place for place in group if place not in apart) for group in groups)
    return (group for group in rest if group)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _exhausted(row: Record | Refusal) -> Failure:
    message = "answering this record took all memory there is, or ended the process that did"
    return Failure(row.id, None, "resource_exhausted", message)


def _release(record: Record) -> str | None:
    release = record.meta.get("release")
    return f"{release:g}" if isinstance(release, float) else release


def _error(row: Record | Refusal, failure: Failure) -> LoggedError:
    time, release = (row.timestamp, _release(row)) if isinstance(row, Record) else (None, None)
    return LoggedError(failure.id, failure.strategy, failure.code, failure.message, time, release)
