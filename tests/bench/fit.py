"""What a fit costs, as Markdown tables: `python -m tests.bench.fit [encode] [cache] [train] [STRATEGY ...] [COUNT]`.

All three without names; COUNT sample records instead of all.

encode: records per second of `encode_records` without a cache, decoding in bounded processes included, against a bare
loop of the encoders over inputs prepared before, the same batches and threads; the two alternate, medians of three.
cache: the same records a second time. train: ten strategies on 3,000 records, the sample records' tokens with noise of
a tenth of their spread, 2,400 to learn from.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fusion_core.encoders import DEFAULT_SOURCES
from fusion_core.encoders.stack import EncoderStack, decode
from fusion_core.encoding import CHUNK
from fusion_core.fit import FitSettings
from fusion_core.fit_course import Task, train_all
from fusion_core.fusion import strategy
from fusion_core.reading.records import read
from fusion_core.tokens import TokenSet, encode_records
from fusion_core.types import MODALITIES, ModalityInputs, Record, Tokens

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data" / "feedback"
REPEATS = 3
RECORDS, LEARNED, APART = 3_000, 2_400, 0.8
NOISE = 0.1
LEVELS = ("values", "raw")


def sample_records(count: int | None = None) -> list[Record]:
    """Return shipped records, no text twice: repeats cost nothing and would flatter."""
    seen: dict[str, None] = {}
    records = [*read(SAMPLES / "training").records, *read(SAMPLES / "test").records]
    return [r for r in records if r.text not in seen and not seen.update({str(r.text): None})][:count]


def only(records: list[Record], modality: str) -> list[Record]:
    """Return records with one modality left."""
    return [replace(r, **{m: None for m in MODALITIES if m != modality}) for r in records]


def prepared(stack: EncoderStack, records: list[Record], modality: str) -> list[ModalityInputs]:
    """Return the inputs of a modality in the chunks that `encode_records` makes."""
    encoder, size = stack.encoders[modality], CHUNK[modality]
    if modality == "text":
        records = sorted(records, key=lambda r: len(r.text or ""))
    values = [decode(r, modality)[0] for r in records]
    return [encoder.prepare(values[k : k + size])[0] for k in range(0, len(values), size)]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def encode(count: int | None = None) -> None:
    """Print the encoding table."""
    stack, records = EncoderStack(DEFAULT_SOURCES), sample_records(count)
    print(f"| encoding {len(records)} records | bare loop, records/s | `encode_records` | ratio |\n|{'---|' * 4}")
    bare, ours = dict.fromkeys(MODALITIES, 0.0), dict.fromkeys(MODALITIES, 0.0)
    for m in MODALITIES:
        inputs, alone, some = prepared(stack, records, m), only(records, m), EncoderStack({m: DEFAULT_SOURCES[m]})
        encoder = some.encoders[m]

        def loop(encoder=encoder, inputs=inputs) -> None:
            with torch.no_grad():
                for part in inputs:
                    encoder.encode(part)

        loop()
        pairs = [(timed(loop), timed(lambda a=alone, s=some: encode_records(s, a))) for _ in range(REPEATS)]
        bare[m], ours[m] = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        _row(m, len(records), bare[m], ours[m])
    _row("one after the other", len(records), sum(bare.values()), sum(ours.values()))
    encode_records(stack, records[:4])  # load what is not loaded
    _row("in all", len(records), sum(bare.values()), timed(lambda: encode_records(stack, records)))


def _row(name: str, count: int, bare: float, ours: float) -> None:
    print(f"| {name} | {count / bare:.1f} | {count / ours:.1f} | {bare / ours:.2f} |", flush=True)


def cache(count: int | None = None) -> None:
    """Print what a second fit waits for before it trains."""
    records = sample_records(count)
    print(f"| {len(records)} records to tokens, models loaded | seconds |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        stack = EncoderStack(DEFAULT_SOURCES)
        loading = timed(lambda: stack.encoders)
        first = timed(lambda: encode_records(stack, records, cache=Path(folder)))
        second = timed(lambda: encode_records(stack, records, cache=Path(folder)))
        print(
            f"| loading the encoders | {loading:.1f} |\n| first time | {first:.1f} |\n| from the cache | {second:.2f} |"
        )


def many_tokens() -> TokenSet:
    """Return the sample records' tokens, every record several times with noise of its own; the last fifth of 3,000 are
    of records that the others do not repeat."""
    stack, records = EncoderStack(DEFAULT_SOURCES), sample_records()
    tokens, _ = encode_records(stack, records, cache=Path(tempfile.gettempdir()) / "fusion-lens-bench")
    first = int(APART * len(tokens))
    rows = torch.cat([torch.arange(LEARNED) % first, first + torch.arange(RECORDS - LEARNED) % (len(tokens) - first)])
    generator = torch.Generator().manual_seed(0)

    def noisy(features: Tensor) -> Tensor:
        spread = float(features.float().std())
        return torch.cat([_noisy(part, NOISE * spread, generator) for part in features.split(256)])

    pools: dict[str, Tokens] = {m: pool.rows(tokens.index[m][rows]).each(noisy) for m, pool in tokens.pools.items()}
    index = {m: torch.arange(RECORDS) for m in pools}
    labels = tuple(tokens.labels[int(k)] for k in rows)
    return TokenSet(pools, index, tuple(map(str, range(RECORDS))), labels)


def _noisy(part: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    return (part.float() + spread * torch.randn(part.shape, generator=generator)).half()


def train(names: list[str]) -> None:
    """Print the seconds of every strategy, one after the other."""
    tokens = many_tokens()
    first = torch.arange(RECORDS) < LEARNED
    classes = tuple(sorted({str(label) for label in tokens.labels}))
    specs = EncoderStack(DEFAULT_SOURCES).specs
    task = Task(specs, classes, tokens.take(first), tokens.take(~first), FitSettings())
    heads = [f"strategy, {LEARNED:,} of {RECORDS:,} records", "passes", "seconds", "a pass", "CPU seconds a pass"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for name in names:
        busy, started = time.process_time(), time.perf_counter()
        course = train_all(task, [name], None, lambda step: True)
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        passes = len(course.curves[name])
        print(f"| {name} | {passes} | {seconds:.1f} | {seconds / passes:.2f} | {busy / passes:.2f} |", flush=True)


def main() -> None:
    """Print the tables asked for."""
    asked = [word for word in sys.argv[1:] if not word.isdigit()]
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), None)
    if not asked or "encode" in asked:
        encode(count)
    if not asked or "cache" in asked:
        cache(count)
    named = [name for name in asked if name in strategy]
    if not asked or "train" in asked or named:
        train(named or list(strategy))


if __name__ == "__main__":
    main()
