"""Speed of `compare` on the sample `feedback`: `python -m tests.bench.compare [RECORDS]`, 1,000 unless it is told.

All ten strategies, every media fault at severities 1, 3 and 5. 500 records are shipped; beyond those, records are their
own copies with slight noise in every modality, so that each is encoded by itself. Prints when the first table is there
(asked for: within a minute) and when all is done (within 15 minutes on 2 cores at 1,000 records).
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch

from fusion_core.bundle import load
from fusion_core.compare.run import Comparing
from fusion_core.faults.inject import inject
from fusion_core.reading.records import read
from fusion_core.types import Record

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
COUNT = 1_000
NOISE = ("text.typos", "image.noise", "audio.noise")
PARTS = ("answers to a sample", "answers to all", "cost", "presence", "EMAP", "perceptual", "information", "reliance",
         "verdict", "text.", "image.", "audio.")  # fmt: skip


def records(count: int) -> list[Record]:
    """Return distinct records: those shipped, then copies of them with noise."""
    shipped = [r for part in ("test", "training") for r in read(SAMPLES / "feedback" / part).records]
    found = list(shipped)
    turn = 1
    while len(found) < count:
        copies = shipped
        for kind in NOISE:
            bare = [replace(r, meta={}) for r in copies]
            copies = [r for r in inject(bare, kind, 1, 1.0, turn) if isinstance(r, Record)]
        found += [replace(r, id=f"{r.id}-{turn}") for r in copies]
        turn += 1
    return found[:count]


def main() -> None:
    """Print one Markdown row per part."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    model, given = load(SAMPLES / "bundles" / "feedback"), records(count)
    spent: dict[str, float] = defaultdict(float)
    began = last = time.perf_counter()
    first, doing = None, ""
    for found in Comparing(model, given, name="bench"):
        now = time.perf_counter()
        part = next((p for p in PARTS if doing.startswith(p)), doing)
        spent[part] += now - last
        if first is None and found.strategies[0].quality:
            first = now - began
        last, doing = now, found.doing
    damaged = max(curve.records for report in found.strategies for curve in report.curves)
    print(f"| part | {count:,} records, {os.cpu_count()} cores, torch {torch.__version__} |\n|---|---|")
    print(f"| first table of all ten strategies | {first:.0f} s |")
    for part, seconds in spent.items():
        if part:
            also = f" (21 kinds, of {damaged} records each)" if part == "text." else ""
            print(f"| {part.rstrip('.')}{' faults' if part.endswith('.') else ''}{also} | {seconds:.0f} s |")
    print(f"| all | {last - began:.0f} s |")
    print(f"| verdict | {found.verdict.needs if found.verdict else 'none'} |")


if __name__ == "__main__":
    main()
