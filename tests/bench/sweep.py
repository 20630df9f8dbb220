"""Throughput of a sweep into a log, against a bare loop that encodes and fuses: `python -m tests.bench.sweep`.

Same records, same batch size, same threads, model loaded and records listed in both; the two alternate, so that other
work on the machine meets both. The sweep also decodes with isolation, keeps media, and writes parts that outlive a
crash. Fresh media: every file is written to the log; known media: they are there already.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from fusion_core.answer_table import mark_records
from fusion_core.bundle import load
from fusion_core.model import FusedModel
from fusion_core.opening import mark_model
from fusion_core.reading.records import RecordSet, read
from fusion_core.sweep import BATCH, CHUNK, Plan
from fusion_core.sweep.chunks import ChunkWriter, Task
from fusion_core.sweep.plan import begin

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
REPEATS = 3


def bare(model: FusedModel, records: RecordSet) -> float:
    """Return the seconds of preparing, encoding and fusing all records in their order."""
    started = time.perf_counter()
    rows = records.records
    with torch.no_grad():
        for start in range(0, len(rows), BATCH):
            tokens = model.encode(model.prepare(rows[start : start + BATCH]))
            model.fuse(tokens, model.default_strategy)
    return time.perf_counter() - started


def swept(model: FusedModel, records: RecordSet, bundle: Path, source: Path, log: Path, run: str) -> float:
    """Return the seconds of a serial sweep of the same records into a log."""
    marks = (mark_model(bundle), source, mark_records(records.rows), log, run)
    plan = Plan(bundle, *marks, (model.default_strategy,), len(records), CHUNK, BATCH)
    writer = ChunkWriter(plan, model, records, begin(plan, model, records.rows, False))
    started = time.perf_counter()
    for number in range(plan.chunks):
        writer.write(Task(number))
    return time.perf_counter() - started


def main() -> None:
    """Print one Markdown row per bundle."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 96
    names = sys.argv[2:] or ["feedback", "scene_qa"]
    print(f"| bundle | records | bare, rows/s | fresh media | known media | ratio (at least 0.8) |\n|{'---|' * 6}")
    for name in names:
        bundle, source = SAMPLES / "bundles" / name, SAMPLES / name / "test"
        model, whole = load(bundle), read(source)
        records = RecordSet(whole.rows[:count], whole)
        bare(model, RecordSet(whole.rows[:BATCH], whole))
        fresh, known, alone = [], [], []
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as log:
                alone.append(bare(model, records))
                fresh.append(swept(model, records, bundle, source, Path(log), "fresh"))
                known.append(swept(model, records, bundle, source, Path(log), "known"))
        plain, first, second = (len(records) / statistics.median(times) for times in (alone, fresh, known))
        ratios = f"{first / plain:.2f} fresh, {second / plain:.2f} known"
        print(f"| {name} | {len(records)} | {plain:.1f} | {first:.1f} | {second:.1f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
