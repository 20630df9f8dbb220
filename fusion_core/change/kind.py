"""A kind of change: how to make more or less of it on one modality's decoded input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_core.registry import Registry

#: Changes a decoded input (str, Picture or Clip) by an amount. Chance comes from the generator only, which stands anew
#: at its seed for every amount: more of a change is more of the same change, not another one.
Apply = Callable[[Any, float, np.random.Generator], Any]


@dataclass(frozen=True)
class Kind:
    """What is changed of which modality.

    amounts: those that are tried, from the mildest on, for a decoded input. unit: of an amount, as it is printed.
    """

    modality: str
    unit: str
    amounts: Callable[[Any], tuple[float, ...]]
    apply: Apply


def steps(*amounts: float) -> Callable[[Any], tuple[float, ...]]:
    """Return the same amounts for every input."""
    return lambda value: amounts


kind: Registry[Kind] = Registry("kind of change")
