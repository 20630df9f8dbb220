"""Encode distinct contents: decoded and prepared ahead by other threads, batched, each one's failure its own."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion_core.encoders import Encoder
from fusion_core.encoders.stack import decode
from fusion_core.errors import RecordError
from fusion_core.types import ModalityInputs, Record, Tokens

#: Contents prepared and encoded together. Texts are sorted by length first and encoded by their exact number of pieces.
#: Few images: what a network makes of 16 at once is handed back to the system every time, and costs twice the time.
CHUNK = {"text": 128, "image": 4, "audio": 16}
THREADS = 2  # that decode and prepare
AHEAD = 3  # chunks that wait for the encoder at most


@dataclass(frozen=True)
class Content:
    """A text, image or clip by its key, and the records that have it: any of them can be read in its place."""

    key: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Encoded:
    """What was made of a content: float16 tokens `[1, T, D]`, or the reason why there are none."""

    content: Content
    made: Tokens | RecordError


def encode_contents(encoder: Encoder, contents: Sequence[Content]) -> Iterator[list[Encoded]]:
    """Encode contents chunk by chunk, not in their order; every one is in exactly one list.

    Tokens do not depend on what else is in a chunk, beyond the last bits of a float32.
    """
    m = encoder.modality
    if m == "text":
        contents = sorted(contents, key=lambda c: len(c.records[0].text or ""))
    chunks = deque(contents[k : k + CHUNK[m]] for k in range(0, len(contents), CHUNK[m]))
    context = contextvars.copy_context()  # whose children may read the files, see `reading_for`
    waiting: deque[Future[_Prepared]] = deque()
    pool = ThreadPoolExecutor(THREADS, "prepare")
    try:
        while chunks or waiting:
            while chunks and len(waiting) < AHEAD:
                waiting.append(pool.submit(context.copy().run, _prepare, encoder, chunks.popleft()))
            yield _encode(encoder, waiting.popleft().result())
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Prepared:
    kept: list[Content]
    inputs: ModalityInputs | None
    failed: list[Encoded]


def _prepare(encoder: Encoder, chunk: Sequence[Content]) -> _Prepared:
    kept: list[Content] = []
    values: list[Any] = []
    failed: list[Encoded] = []
    for content in chunk:
        try:
            values.append(_decoded(content, encoder.modality))
            kept.append(content)
        except RecordError as error:
            failed.append(Encoded(content, error))
    if not kept:
        return _Prepared(kept, None, failed)
    with torch.no_grad():
        return _Prepared(kept, encoder.prepare(values)[0], failed)


def _decoded(content: Content, modality: str) -> Any:
    """Return a content as the first record that can be read has it: a file that went may be there for another one."""
    for record in content.records[:-1]:
        try:
            return decode(record, modality)[0]
        except RecordError as error:
            if error.code != "file_missing":
                raise
    return decode(content.records[-1], modality)[0]


def _encode(encoder: Encoder, prepared: _Prepared) -> list[Encoded]:
    if prepared.inputs is None:
        return prepared.failed
    with torch.no_grad():
        tokens = encoder.encode(prepared.inputs)
    return [Encoded(c, _row(tokens, k)) for k, c in enumerate(prepared.kept)] + prepared.failed


def _row(tokens: Tokens, row: int) -> Tokens:
    """Return one row without its padding, float16, in memory of its own."""
    length = int(tokens.mask[row].sum())
    own = tokens.shaped(
        lambda features: features[row : row + 1, :length].clone(), tokens.mask[row : row + 1, :length].clone()
    )
    return own.each(Tensor.half)
