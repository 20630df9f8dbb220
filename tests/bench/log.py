"""A prediction log of 1 and 5 million rows, asked: `python -m tests.bench.log --out FOLDER`.

Prints medians in milliseconds after one run to warm up, and the memory of a process that has asked them all. Rows are
made of numpy columns, seeded, in parts of 250,000; each size is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.log.parts import create_run, runs, write_part
from fusion_core.log.queries import (
    Filter,
    Order,
    by_slice,
    calibration,
    confusion,
    count,
    page,
    row,
    timeline,
)
from fusion_core.log.schema import MOST_ROWS, SLICE, Run, answered_schema
from fusion_core.log.store import Store

REPEATS = 7
CLASSES = ("negative", "neutral", "positive", "mixed", "other")
SLICES = {"language": "text", "region": "text", "device": "text", "duration": "number"}
RUN = Run("bench", CLASSES, ("text", "image", "audio"), SLICES, "import")  # type: ignore[arg-type]
WORDS = [a + b for a in ("ka", "lo", "mi", "nu", "pe", "ra", "si", "to") for b in ("bar", "den", "fil", "gon", "mot")]
BOUNDS = {
    "page": 150,
    "page, filtered": 150,
    "confusion": 150,
    "slice table": 150,
    "text search, page": 1_000,
    "text search, count": 1_000,
}


def picked(rng: np.random.Generator, values: Sequence[str | None], rows: int, shares: Sequence[float] | None = None):
    """Return values `[rows]` drawn from a few."""
    return pa.array(values).take(pa.array(rng.choice(len(values), rows, p=shares)))


def part(number: int, parts: int) -> pa.Table:
    """Return part `number` of a log of `parts` parts over 90 days; 4 strategies, 70 % labelled, 20 % wrong."""
    rng, rows = np.random.default_rng(number), MOST_ROWS
    at = np.arange(number * rows, (number + 1) * rows)
    step = 90 * 86_400 * 1_000_000 // (parts * rows)
    when = np.datetime64("2026-01-01", "us") + (at * step + rng.integers(0, 10**6, rows)).astype("timedelta64[us]")
    label = rng.integers(0, 5, rows)
    answer = np.where(rng.random(rows) < 0.2, (label + rng.integers(1, 5, rows)) % 5, label)
    known = pa.array(rng.random(rows) < 0.7)
    shares = pa.array(rng.dirichlet(np.ones(5), rows).astype("float32").ravel())
    media = [f"{n:064x}" for n in rng.integers(0, 2**62, 20_000)]
    columns = {
        "id": pa.array(np.char.add("r", (at // 4).astype(str))).cast(pa.string()),
        "strategy": pa.array(["early", "late", "attention", "gated"]).take(pa.array(at % 4)),
        "timestamp": pa.array(when),
        "release": pa.array([f"2026.{k}" for k in range(1, 7)]).take(pa.array(at * 6 // (parts * rows))),
        "prediction": pa.array(CLASSES).take(pa.array(answer)),
        "confidence": pa.array((0.2 + 0.8 * rng.beta(5, 2, rows)).astype("float32")),
        "probabilities": pa.ListArray.from_arrays(pa.array(np.arange(0, 5 * rows + 1, 5), pa.int32()), shares),
        "label": pc.if_else(known, pa.array(CLASSES).take(pa.array(label)), pa.scalar(None, pa.string())),
        "correct": pc.if_else(known, pa.array(answer == label), pa.scalar(None, pa.bool_())),
        "latency_ms": pa.array(rng.gamma(4, 20, rows).astype("float32")),
        "present": picked(rng, ["text", "text+image", "text+image+audio", "image+audio"], rows),
        "flags": picked(rng, ["", "short_text", "bidi truncated"], rows, [0.9, 0.05, 0.05]),
        "text": pc.binary_join_element_wise(*[picked(rng, WORDS, rows) for _ in range(12)], " "),
        "image": picked(rng, [f"{name}.png" for name in media], rows),
        "audio": picked(rng, [f"{name}.wav" for name in media], rows),
        SLICE + "language": picked(rng, ["en", "de", "fr", "es", "it", "pl", "nl", "tr"], rows),
        SLICE + "region": picked(rng, [f"region {k}" for k in range(20)], rows),
        SLICE + "device": picked(rng, ["phone", "tablet", "laptop", None], rows),
        SLICE + "duration": pa.array(rng.gamma(3, 5, rows)),
    }
    schema = answered_schema(RUN.slices)
    return pa.Table.from_arrays([columns[f.name] for f in schema], schema=schema)


def made(log: Path, rows: int) -> Path:
    """Write a log of so many rows, unless it is there."""
    if runs(log):
        return log
    parts = rows // MOST_ROWS
    folder = create_run(log, RUN)
    for number in range(parts):
        write_part(folder, "parts", part(number, parts), number)
    return log


def questions(store: Store) -> dict[str, Callable[[], object]]:
    """Return what is asked, by name."""
    late = Filter(strategy="late")
    narrow = Filter(slices={"language": "de"}, correct=False, confidence=(0.9, 1.0))
    words = Filter(text="kabar lofil mi")
    return {
        "page": lambda: page(store),
        "page, oldest first": lambda: page(store, order=Order(descending=False)),
        "page, filtered": lambda: page(store, narrow),
        "page, 10,000 rows down": lambda: page(store, offset=10_000),
        "page, by confidence": lambda: page(store, late, Order("confidence")),
        "count, filtered": lambda: count(store, narrow),
        "confusion": lambda: confusion(store, late),
        "confusion, all rows": lambda: confusion(store),
        "slice table": lambda: by_slice(store, "region", late),
        "slice table, all rows": lambda: by_slice(store, "region"),
        "slice table of a number": lambda: by_slice(store, "duration", late),
        "timeline": lambda: timeline(store, late),
        "calibration": lambda: calibration(store, late),
        "text search, page": lambda: page(store, words),
        "text search, count": lambda: count(store, words),
        "one record": lambda: row(store, "r12345"),
    }


def measure(log: Path) -> None:
    """Print one line per question, its name and median milliseconds, with the time to open before and memory after."""
    base, started = _memory(), time.perf_counter()
    with Store(log) as store:
        print(f"opening\t{(time.perf_counter() - started) * 1e3:.0f}")
        most = _memory()
        for name, ask in questions(store).items():
            ask()
            times = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                ask()
                times.append((time.perf_counter() - started) * 1e3)
            most = max(most, _memory())
            print(f"{name}\t{statistics.median(times):.0f}")
    print(f"memory of the imports, MB\t{base:.0f}\nmost memory after a question, MB\t{most:.0f}")


def main() -> None:
    """Make the logs, measure each in its own process, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="where the logs are made, about 100 MB per million rows"
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000], help="multiples of 250,000")
    parser.add_argument("--measure", action="store_true", help="measure --out as it is")
    given = parser.parse_args()
    if given.measure:
        measure(given.out)
        return
    columns: list[dict[str, str]] = []
    for rows in given.rows:
        log = made(given.out / f"rows-{rows}", rows)
        command = [sys.executable, "-m", "tests.bench.log", "--measure", "--out", str(log)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        columns.append(dict(line.split("\t") for line in told.splitlines()))
    print("| median, ms | " + " | ".join(f"{rows:,} rows" for rows in given.rows) + " | bound at 1 million |")
    print("|---" * (len(given.rows) + 2) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + f" | {BOUNDS.get(name, '')} |")


def _memory() -> float:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 1e6


if __name__ == "__main__":
    main()
