"""Work on every core: one thread per core, and each with one thread of torch, for its own threads gain little here."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")
MOST = 4  # threads: every one holds a batch


def side_by_side(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Yield the result of every task, in order; what a task raises is raised here, and no further one begins."""
    count = min(MOST, os.cpu_count() or 1)
    known = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, "compare", initializer=torch.set_num_threads, initargs=(1,))
    try:
        context = contextvars.copy_context()  # whose children may read the files, see `reading_for`
        waiting: list[Future[Result]] = [pool.submit(context.copy().run, work, task) for task in tasks]
        while waiting:
            yield waiting.pop(0).result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(known)  # a thread's wish also becomes that of threads yet to come
