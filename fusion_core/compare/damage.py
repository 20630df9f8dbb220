"""Answers to damaged records: one kind of fault at one severity in every record that can have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.compare.encoded import encode_modality, part
from fusion_core.compare.fusing import fused
from fusion_core.compare.threads import side_by_side
from fusion_core.errors import CallError
from fusion_core.faults import SEVERITIES, fault
from fusion_core.faults.inject import inject
from fusion_core.model import FusedModel
from fusion_core.tokens import Progress, TokenSet
from fusion_core.types import MODALITIES, Record

AT_ONCE = 64  # records


def media_kinds(modalities: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of fault that damage what a record holds of these modalities."""
    return tuple(kind for kind, about in fault.items() if about.modality in modalities)


def chosen_kinds(modalities: Sequence[str], names: str) -> tuple[str, ...]:
    """Read a list of faults: `all`, `none`, or names separated by commas; CallError for what damages no modality."""
    if names in ("all", "none"):
        return media_kinds(modalities) if names == "all" else ()
    chosen = tuple(dict.fromkeys(part.strip() for part in names.split(",") if part.strip()))
    for name in chosen:
        if fault[name].modality not in MODALITIES:
            raise CallError(f"{name} damages no text, image or audio; allowed are {', '.join(media_kinds(MODALITIES))}")
        if fault[name].modality not in modalities:
            raise CallError(f"the model does not read {fault[name].modality}, which {name} damages")
    if not chosen:
        raise CallError("no fault was named; give all, none, or names separated by commas")
    return chosen


def severities_of(kind: str, severities: Sequence[int]) -> tuple[int, ...]:
    """Return the severities at which a kind is measured: the highest alone where its harm is always the same."""
    wrong = [s for s in severities if s not in SEVERITIES]
    if wrong or not severities:
        raise CallError(f"severity {wrong[0] if wrong else 'none'}; allowed are 1 to 5")
    return tuple(sorted(set(severities))) if fault[kind].graded else (max(severities),)


def damaged(
    model: FusedModel,
    records: Sequence[Record],
    tokens: TokenSet,
    kind: str,
    severity: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return every strategy's logits for the damaged records, `[S, N, C]`, and which could be damaged, `bool [N]`.

    Only the damaged modality is encoded anew. The logits of other records are zeros.
    """
    modality = fault[kind].modality
    logits = np.zeros((len(model.strategies), len(records), len(model.classes)), np.float32)
    able = np.array([k for k, record in enumerate(records) if getattr(record, modality)], dtype=np.int64)
    there = np.zeros(len(records), dtype=bool)

    def work(start: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of some records that could be damaged and read, and their logits."""
        rows = able[start : start + AT_ONCE]
        harmed = inject([records[k] for k in rows], kind, severity, 1.0, seed + start)
        kept = [(k, row) for k, row in zip(rows, harmed, strict=True) if isinstance(row, Record)]
        if not kept:
            return rows[:0], logits[:, :0]
        encoded, readable = encode_modality(model.stack, [row for _, row in kept], modality)
        numbers = np.array([k for k, _ in kept])
        found = fused(model, part(tokens, numbers), {modality: encoded})
        return numbers[readable], found[:, readable]

    done = 0
    for numbers, found in side_by_side(work, range(0, len(able), AT_ONCE)):
        there[numbers], logits[:, numbers] = True, found
        done = min(done + AT_ONCE, len(able))
        if progress:
            progress(f"{kind} at severity {severity}", done, len(able))
    return logits, there


def stratified(labels: Sequence[str | None], most: int, seed: int) -> np.ndarray:
    """Return the numbers of at most so many records, in order, every label with its share of them (seeded)."""
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(len(labels))
    names = np.array([str(label) for label in labels])
    # A record's rank within its label, as a share of the label: the lowest shares are a sample like the whole.
    rank = np.empty(len(labels))
    for name in np.unique(names):
        own = mixed[names[mixed] == name]
        rank[own] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.sort(np.argsort(rank, kind="stable")[:most])
