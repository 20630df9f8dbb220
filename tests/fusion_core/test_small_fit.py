"""A fit on a small, unbalanced set of eight classes is no worse than a plain regression on the same features."""

from __future__ import annotations

import numpy as np
import torch

from fusion_core.fit import FitSettings, logits, targets, train_head
from fusion_core.fit_course import Task, best_strategy, train_all
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens
from tests.bench.small_fit import regression, split
from tests.bench.small_sets import CLASSES, SHARES
from tests.conftest import LENGTHS, SPECS

ALLOWED = 0.03


def drawn(count: int, seed: int) -> TokenSet:
    """Return records whose tokens lie around a place of their class, a different one in each modality."""
    truth = torch.from_numpy(np.random.default_rng(seed).choice(8, size=count, p=SHARES))
    places, noise = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    pools = {}
    for m, spec in SPECS.items():
        centre = 0.7 * torch.randn(8, spec.width, generator=places)
        own = torch.randn(count, 1, spec.width, generator=noise)  # of a record, the same in all its tokens
        values = centre[truth][:, None] + own + torch.randn(count, LENGTHS[m], spec.width, generator=noise)
        pools[m] = Tokens(values, torch.ones(count, LENGTHS[m]) > 0, torch.randn(count, LENGTHS[m], spec.raw))
    index = {m: torch.arange(count) for m in pools}
    return TokenSet(pools, index, tuple(map(str, range(count))), tuple(CLASSES[int(c)] for c in truth))


def test_the_default_strategy_of_a_small_fit_keeps_up_with_a_tuned_regression():
    known, test = drawn(400, 1), drawn(800, 2)
    train, validation = split(known)
    task = Task(SPECS, CLASSES, train, validation, FitSettings())
    course = train_all(task, ["late", "concat", "gated"], None, lambda step: True)
    head = course.heads[best_strategy(course)]
    right = (logits(head, test).argmax(1) == targets(test, CLASSES)).double().mean()
    assert float(right) >= regression(known, test).mean() - ALLOWED


def test_a_budget_that_leaves_ten_steps_is_a_fit_too():
    train, validation = drawn(40, 1), drawn(20, 2)
    head, found = train_head("late", SPECS, CLASSES, train, validation, FitSettings(epochs=10, patience=10))
    assert found.training_records == 40
    assert bool(torch.isfinite(logits(head, validation)).all())
