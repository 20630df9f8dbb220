"""Heads that were trained, by the library's own `fit`, on generated carriers of a bit per modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from fusion_core.encoders import DEFAULT_SOURCES
from fusion_core.encoders.stack import EncoderStack
from fusion_core.fit import FitSettings, draw_background, train_head
from fusion_core.fusion import HeadSettings
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import MODALITIES
from tests.truth.carriers import Pool, Rule, pool, records

TRAIN_CARRIERS, FRESH_CARRIERS = 120, 60
TRAIN_RECORDS, FRESH_RECORDS = 1_000, 300
DONORS = 128
SETTINGS = FitSettings(epochs=8, patience=8, rate=2e-3, head=HeadSettings(width=64, heads=2, layers=1, dropout=0.1))


@dataclass(frozen=True)
class Trained:
    """A model of one strategy, and fresh records of carriers it has not seen, with the bits each one carries."""

    model: FusedModel
    strategy: str
    fresh: TokenSet
    bits: Mapping[str, Tensor]
    pools: Mapping[str, Pool]

    def accuracy(self, tokens: TokenSet | None = None) -> float:
        """Return the share of fresh records, or of others, that are answered rightly."""
        tokens = tokens or self.fresh
        with torch.no_grad():
            answers = self.model.fuse(tokens.batch(torch.arange(len(tokens))), self.strategy).argmax(dim=1)
        truth = torch.tensor([int(label) for label in tokens.labels])
        return float((answers == truth).double().mean())


def fitted(
    stack: EncoderStack,
    pools: tuple[Mapping[str, Pool], Mapping[str, Pool]],
    rule: Rule,
    name: str,
    cued: Mapping[str, float] | None = None,
    count: int = TRAIN_RECORDS,
) -> Trained:
    """Fit one strategy on a rule of the bits; a cue equals the label as often as `cued` says, by chance when fresh."""
    train, _ = records(pools[0], rule, count, 1, cued)
    fresh, bits = records(pools[1], rule, FRESH_RECORDS, 2, dict.fromkeys(cued or {}, 0.5))
    validation, _ = records(pools[0], rule, FRESH_RECORDS, 3, cued)
    specs = {m: stack.specs[m] for m in MODALITIES}
    head, found = train_head(name, specs, ("0", "1"), train, validation, SETTINGS)
    background = draw_background(train, 0, DONORS if name == "concat" else 32)
    model = FusedModel("carriers", ("0", "1"), stack, {name: head}, {name: found}, background, name)
    return Trained(model, name, fresh, bits, pools[1])


@pytest.fixture(scope="session")
def stack():
    return EncoderStack({m: DEFAULT_SOURCES[m] for m in MODALITIES})


@pytest.fixture(scope="session")
def pools(stack):
    """Carriers to train on and fresh ones."""
    return tuple(
        {m: pool(stack, m, count, seed) for m in MODALITIES}
        for count, seed in ((TRAIN_CARRIERS, 1), (FRESH_CARRIERS, 2))
    )


@pytest.fixture(scope="session")
def xor(stack, pools):
    return fitted(stack, pools, lambda t, i, a: t ^ i, "concat")


@pytest.fixture(scope="session")
def conjunction(stack, pools):
    return fitted(stack, pools, lambda t, i, a: t & i, "concat")


@pytest.fixture(scope="session")
def one_bit(stack, pools):
    return fitted(stack, pools, lambda t, i, a: t, "concat")


@pytest.fixture(scope="session")
def majority(stack, pools):
    """Two of three bits decide: every modality counts, so every carrier should be found."""
    return fitted(stack, pools, lambda t, i, a: (t + i + a >= 2).long(), "cross_attention")
