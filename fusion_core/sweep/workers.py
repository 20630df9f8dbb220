"""Worker processes of a sweep: each loads the model by its path and hash, commits its own chunks and returns counts."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from fusion_core.errors import CallError, FusionError
from fusion_core.sweep.chunks import ChunkWriter, Group, Task
from fusion_core.sweep.plan import Plan

#: Deaths of one chunk's workers that no row explains, as by a hand that kills them, before the sweep gives up.
MOST_DEATHS = 5

Entry = Callable[[Plan, int, Connection], None]


def work(plan: Plan, threads: int, pipe: Connection) -> None:
    """Be a worker: answer the chunks that come down the pipe until it closes.

    Says ("at", places) before each group of rows, ("done", number) after each chunk, ("refused", code, message) at most
    once.
    """
    import torch

    torch.set_num_threads(threads)
    try:
        writer = open_writer(plan)
        pipe.send(("ready",))
        while True:
            task = Task(*pipe.recv())
            writer.write(task, lambda group: pipe.send(("at", group)))
            pipe.send(("done", task.number))
    except FusionError as error:
        with contextlib.suppress(OSError):
            pipe.send(("refused", error.code, str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        return  # whoever asked has gone; what is not written is written by the next sweep


def open_writer(plan: Plan) -> ChunkWriter:
    """Load a plan's model and records, and make sure that they are those it was made for; CallError otherwise."""
    from fusion_core.answer_table import mark_records
    from fusion_core.log.parts import read_run
    from fusion_core.opening import mark_model, open_fused
    from fusion_core.reading.records import read

    if mark_model(plan.model, plan.asked) != plan.model_mark:
        raise CallError("the model changed while the sweep ran")
    records = read(plan.records)
    if mark_records(records.rows) != plan.records_mark:
        raise CallError("the records changed while the sweep ran")
    model = open_fused(plan.model, plan.encoder_roots, plan.asked, lambda: records.records)
    return ChunkWriter(plan, model, records, read_run(plan.log, plan.run))


@dataclass
class _Worker:
    """A process and what it was last heard to do."""

    process: Any
    pipe: Connection
    task: Task | None = None
    at: Group = ()


class Workers:
    """A few workers that answer chunks side by side; a context manager that takes them along when it ends."""

    def __init__(self, plan: Plan, count: int, entry: Entry = work) -> None:
        self.plan, self.entry = plan, entry
        self.threads = max(1, (os.cpu_count() or 1) // count)
        self._spawn = multiprocessing.get_context("spawn")
        self._workers = [self._start() for _ in range(count)]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def run(self, numbers: Iterable[int]) -> Iterator[int]:
        """Answer chunks and yield the number of each when it is in the log.

        A worker that dies takes nothing with it: its chunk is answered again, the group of rows it died of in smaller
        ones, until the one row is found that cannot be answered. Raises CallError when workers die for no row's sake
        or refuse the model.
        """
        tasks = deque(Task(number) for number in numbers)
        left, deaths = len(tasks), dict.fromkeys((task.number for task in tasks), 0)
        while left:
            for worker in self._workers:
                if worker.task is None and tasks:
                    self._give(worker, tasks.popleft())
            for pipe in wait([worker.pipe for worker in self._workers]):
                worker = next(w for w in self._workers if w.pipe is pipe)
                done, again = self._hear(worker)
                if done is not None:
                    left -= 1
                    yield done
                if again is not None:
                    deaths[again.number] += not worker.at
                    if deaths[again.number] > MOST_DEATHS:
                        raise CallError("worker processes end before they answer anything", "resource_exhausted")
                    tasks.appendleft(again)

    def _start(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=self.entry, args=(self.plan, self.threads, theirs), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.task, worker.at = task, ()
        with contextlib.suppress(OSError):  # a worker that died is heard of by its closed pipe
            worker.pipe.send((task.number, task.fragile, task.skipped))

    def _hear(self, worker: _Worker) -> tuple[int | None, Task | None]:
        """Return the chunk a worker has done, or what is to be done again because it died."""
        try:
            word, *said = worker.pipe.recv()
        except (EOFError, OSError):
            return None, self._bury(worker)
        if word == "refused":
            raise CallError(said[1], said[0])
        if word == "at":
            worker.at = said[0]
        if word != "done":
            return None, None
        worker.task, worker.at = None, ()
        return said[0], None

    def _bury(self, worker: _Worker) -> Task | None:
        worker.process.join()
        worker.pipe.close()
        fresh, task = self._start(), worker.task
        worker.process, worker.pipe, worker.task = fresh.process, fresh.pipe, None
        if task is None or not worker.at:
            return task
        return task.after_death(worker.at, self.plan.batch)
