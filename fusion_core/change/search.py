"""The smallest change of one modality that flips an answer (Captum's `MinParamPerturbation`, linear search)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from captum.robust import MinParamPerturbation
from torch import Tensor

from fusion_core.change.kind import kind
from fusion_core.encoders.stack import decode
from fusion_core.errors import CallError
from fusion_core.model import FusedModel
from fusion_core.types import Record, SmallestChange, Tokens

BATCH = 8
Report = Callable[[int, int], None]


def kinds_for(modalities: Sequence[str], asked: str = "all") -> tuple[str, ...]:
    """Return the kinds of change there are for modalities; raises CallError for a name that is not known."""
    if asked != "all":
        return (asked,) if kind[asked].modality in modalities else ()
    return tuple(name for name, about in kind.items() if about.modality in modalities)


def smallest_changes(
    model: FusedModel,
    record: Record,
    strategies: Sequence[str],
    asked: str = "all",
    seed: int = 0,
    report: Report = lambda done, planned: None,
) -> list[SmallestChange]:
    """Change each modality the record has, more and more, until each strategy answers otherwise.

    Amounts are tried from the mildest on and the first flip counts: flips need not be monotone, so no bisection. Every
    amount is encoded once for all strategies. `report` is told kinds done and planned. Heads at chance are left out:
    they have no answer that could flip. Raises RecordError when the record cannot be read, CallError for unknown names.
    """
    inputs, tokens = model.encode_record(record)
    names = kinds_for(tuple(inputs.axes(0)), asked)
    if not names:
        here = ", ".join(inputs.axes(0))
        raise CallError(f"{asked} changes {kind[asked].modality}, which this record has not; it has {here}")
    trained = [s for s in strategies if model.fitted[s].status != "chance"]
    found = []
    for done, name in enumerate(names):
        report(done, len(names))
        found += _one_kind(model, record, tokens, trained, name, seed)
    report(len(names), len(names))
    return found


def _one_kind(
    model: FusedModel, record: Record, tokens: Mapping[str, Tokens], strategies: Sequence[str], name: str, seed: int
) -> list[SmallestChange]:
    about = kind[name]
    value, _ = decode(record, about.modality)
    amounts = about.amounts(value)
    changed = [about.apply(value, amount, np.random.default_rng(seed)) for amount in amounts]
    logits = _answers(model, tokens, about.modality, changed, strategies)
    with torch.no_grad():
        before = {s: int(model.fuse(tokens, s).argmax()) for s in strategies}
    changes = []
    for s in strategies:
        place = _first_flip(logits[s], before[s]) if amounts else None
        changes.append(
            SmallestChange(
                strategy=s,
                kind=name,
                modality=about.modality,
                unit=about.unit,
                amount=None if place is None else amounts[place],
                tried=amounts,
                before=model.classes[before[s]],
                after=None if place is None else model.classes[int(logits[s][place].argmax())],
                evaluations=len(amounts),
            )
        )
    return changes


def _first_flip(logits: Tensor, before: int) -> int | None:
    """Return the first of the amounts, `logits [A, C]`, whose answer is another one; None when there is none."""
    # Captum refuses ranges of fewer than three steps: behind the last amount stands the answer before, twice.
    unmoved = torch.nn.functional.one_hot(torch.tensor([before] * 2), logits.shape[1])
    whole = torch.cat([logits, unmoved.to(logits)])
    search = MinParamPerturbation(
        forward_func=lambda place: whole[place],
        attack=lambda inputs, place: torch.tensor([place]),
        arg_name="place",
        arg_min=0,
        arg_max=len(whole),
        arg_step=1,
        mode="linear",
    )
    _, place = search.evaluate(torch.tensor([0]), target=before)
    return None if place is None else int(place)


def _answers(
    model: FusedModel, tokens: Mapping[str, Tokens], modality: str, values: Sequence[Any], strategies: Sequence[str]
) -> dict[str, Tensor]:
    """Return logits `[A, C]` per strategy for each changed value of one modality, the others as they are."""
    encoder = model.stack.encoders[modality]
    parts: dict[str, list[Tensor]] = {s: [] for s in strategies}
    for start in range(0, len(values), BATCH):
        few = values[start : start + BATCH]
        with torch.no_grad():
            own = encoder.encode(encoder.prepare(few)[0])
            given = {m: own if m == modality else _repeat(t, len(few)) for m, t in tokens.items()}
            for s in strategies:
                parts[s].append(model.fuse(given, s))
    return {s: torch.cat(p) if p else torch.zeros(0, len(model.classes)) for s, p in parts.items()}


def _repeat(tokens: Tokens, count: int) -> Tokens:
    return tokens.rows(torch.zeros(count, dtype=torch.long))
