"""Speed on this machine, as ratios within one run and medians: `python -m tests.bench.speed`.

Rows: the ledger of one record against a plain batched head pass over the same rows; the attention views of one class
against plain head passes; a full trace, encoders included.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fusion_core.attend import attention_scores
from fusion_core.bundle import load
from fusion_core.contribute.ledger import measure
from fusion_core.model import FusedModel
from fusion_core.question import Question
from fusion_core.reading.records import read
from fusion_core.trace import trace_record
from fusion_core.types import Record

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
REPEATS = 7


def median_seconds(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time of several runs after one to warm up."""
    run()
    times = []
    for _ in range(REPEATS):
        started = clock()
        run()
        times.append(clock() - started)
    return statistics.median(times)


def ledger_ratio(model: FusedModel, record: Record) -> tuple[float, float]:
    """Return seconds of the ledger under all strategies, and its ratio to plain passes over as many rows."""
    _, tokens = model.encode_record(record)
    rows = measure(model, tokens, model.default_strategy).evaluations
    batch = {m: t.rows(torch.zeros(rows, dtype=torch.long)) for m, t in tokens.items()}

    def ledgers() -> None:
        for strategy in model.strategies:
            measure(model, tokens, strategy)

    def plain() -> None:
        with torch.no_grad():
            for strategy in model.strategies:
                model.fuse(batch, strategy)

    spent = median_seconds(ledgers)
    return spent, spent / median_seconds(plain)


def attention_passes(model: FusedModel, record: Record, strategy: str) -> tuple[float, float]:
    """Return milliseconds of raw attention, rollout and relevancy of one class, and how many plain head passes that is.

    Processor time: on a busy machine waiting would be counted as work.
    """
    _, tokens = model.encode_record(record)

    def plain() -> None:
        with torch.no_grad():
            model.fuse(tokens, strategy)

    spent = median_seconds(lambda: attention_scores(model, tokens, strategy, 0), time.process_time)
    return 1000 * spent, spent / median_seconds(plain, time.process_time)


def trace_seconds(model: FusedModel, record: Record, question: Question) -> float:
    """Return seconds of a full trace under all strategies, encoders included."""
    return median_seconds(lambda: trace_record(model, record, model.strategies, question))


def main() -> None:
    """Print one Markdown row per measurement."""
    print(f"| what | bundle | result |\n|---|---|---|\n| threads | | {torch.get_num_threads()} |")
    for name in ("feedback", "scene_qa"):
        model = load(SAMPLES / "bundles" / name)
        record = read(SAMPLES / name / "test").records[0]
        spent, ratio = ledger_ratio(model, record)
        print(f"| ledger, {len(model.strategies)} strategies | {name} | {spent:.3f} s, {ratio:.2f} x plain passes |")
        for strategy in model.strategies:
            if attention_scores(model, model.encode_record(record)[1], strategy, 0):
                spent, ratio = attention_passes(model, record, strategy)
                print(f"| raw, rollout, relevancy, {strategy} | {name} | {spent:.1f} ms, {ratio:.1f} x a head pass |")
        fast = trace_seconds(model, record, Question(seam="fusion"))
        print(f"| full trace, fusion seam | {name} | {fast:.2f} s for {len(model.strategies)} strategies |")
        slow = trace_seconds(model, record, Question(seam="input"))
        print(f"| full trace, input seam | {name} | {slow:.2f} s for {len(model.strategies)} strategies |")


if __name__ == "__main__":
    main()
