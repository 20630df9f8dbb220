"""What tests of sweeps share: a small record set, what a run holds, a model that fails in ways its texts name."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from fusion_core.log.parts import live_parts, read_run, run_folder
from fusion_core.model import Background, FusedModel
from fusion_core.reading.records import read
from fusion_core.sweep.chunks import ChunkWriter
from fusion_core.types import Inputs, ModalityInputs, TokenAxis
from tests.conftest import CLASSES, LENGTHS, SAMPLES, SPECS, SpecsOnly, random_tokens, tiny_head

BUNDLE = SAMPLES / "bundles" / "feedback"


def write_records(folder: Path, count: int = 40) -> Path:
    """Write a record set of mostly texts, with a missing file and an id that comes twice."""
    test = SAMPLES / "feedback" / "test"
    rows = [json.loads(line) for line in (test / "metadata.jsonl").read_text("utf-8").splitlines()[:count]]
    for number, row in enumerate(rows):
        for column in ("image_file_name", "audio_file_name"):
            if number % 20:
                del row[column]
                continue
            (folder / row[column]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(test / row[column], folder / row[column])
        row |= {"timestamp": 1_700_000_000 + number, "release": f"1.{number // 20}", "latency_ms": 1.5 * number}
        row |= {"Weird name!": number, "mixed": number if number % 2 else "even"}
    rows[7]["image_file_name"] = "images/nowhere.png"
    rows[9]["id"] = rows[8]["id"]
    return write_rows(folder, rows)


def write_rows(folder: Path, rows: list[dict]) -> Path:
    """Write a record set from rows of metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


def table_of(log: Path, run: str, kind: str = "parts") -> pa.Table | None:
    """Return all live rows of a run in the order of its parts' numbers; None when there are none."""
    parts = live_parts(run_folder(log, run))
    assert not parts.damaged
    assert not parts.notes
    files = sorted(part.file for part in parts.of(kind))
    return pa.concat_tables([pq.read_table(run_folder(log, run) / file) for file in files]) if files else None


class PerilousStack(SpecsOnly):
    """Prepares texts that name what happens: `nan` logits, a `kill`ed process, no `memory`; else one word."""

    def __init__(self) -> None:
        super().__init__(SPECS)
        self.batches: list[list[str]] = []

    def prepare(self, records):
        texts = [record.text for record in records]
        self.batches.append(texts)
        if "kill" in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        if "memory" in texts:
            raise MemoryError
        values = torch.tensor([[math.nan if text == "nan" else float(len(text))] for text in texts])
        axis = TokenAxis("words", ("w",), ((0.0, 1.0),))
        part = ModalityInputs(values, torch.ones(len(records), 1) > 0, (axis,) * len(records))
        return Inputs({"text": part}, (("text cut to its first 3 of 9 characters (2 words)",),) * len(records))

    def encode(self, inputs):
        # Every row has the same tokens but for its own scale, so that an answer does not hang on its place in a batch.
        scale = inputs.modalities["text"].values[:, :, None]
        one = random_tokens(1, lengths=LENGTHS)
        tokens = {m: t.rows(torch.zeros(len(scale), dtype=torch.long)) for m, t in one.items()}
        return {**tokens, "text": replace(tokens["text"], values=tokens["text"].values * scale)}


def perilous_model() -> FusedModel:
    """Return a model on a perilous stack with two strategies."""
    heads = {name: tiny_head(name) for name in ("late", "early")}
    return FusedModel("perilous", CLASSES, PerilousStack(), heads, {}, Background(random_tokens(8, seed=9)), "late")


def perilous_work(plan, threads, pipe):
    """Be a worker with a perilous model instead of a bundle."""
    torch.set_num_threads(1)
    writer = ChunkWriter(plan, perilous_model(), read(plan.records), read_run(plan.log, plan.run))
    try:
        while True:
            from fusion_core.sweep.chunks import Task

            task = Task(*pipe.recv())
            writer.write(task, lambda group: pipe.send(("at", group)))
            pipe.send(("done", task.number))
    except (EOFError, OSError):
        return
