"""What a strategy costs where it runs: trained weights, time of a fusion, memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from fusion_core.compare.encoded import batch
from fusion_core.compare.result import StrategyCost
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens

TIMED, WARM_UP = 40, 3  # records
BYTES = 4  # of a float32


def strategy_costs(model: FusedModel, tokens: TokenSet) -> dict[str, StrategyCost]:
    """Return every strategy's cost; times are medians over 40 records, fused one by one from cached tokens.

    Strategies take turns on each record: a moment in which the machine is busy does not fall on one of them alone.
    """
    given = [batch(model, tokens, torch.tensor([k])) for k in range(min(TIMED, len(tokens)))]
    times: dict[str, list[float]] = {s: [] for s in model.strategies}
    with torch.no_grad():
        for one in [*given[:WARM_UP], *given]:
            for s in model.strategies:
                started = time.perf_counter()
                model.fuse(one, s)
                times[s].append(1000 * (time.perf_counter() - started))
    skipped = min(WARM_UP, len(given))
    return {s: _cost(model, s, given, statistics.median(times[s][skipped:])) for s in model.strategies}


def combining_operations(model: FusedModel, tokens: TokenSet, strategy: str) -> float:
    """Return the operations, in millions, that putting one record's projected modalities together takes."""
    head = model.head(strategy)
    with torch.no_grad():
        projected = head.project(batch(model, tokens, torch.tensor([0])))
        with FlopCounterMode(display=False) as counter:
            head.combine(projected)
    return float(counter.get_total_flops() / 1e6)


def _cost(model: FusedModel, strategy: str, given: Sequence[Mapping[str, Tokens]], milliseconds: float) -> StrategyCost:
    parameters = model.head(strategy).parameter_count()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for one in given:
            model.fuse(one, strategy)
    operations = counter.get_total_flops() / len(given) / 1e6
    return StrategyCost(parameters, milliseconds, parameters * BYTES / 1e6, operations)
