"""The seam around a foreign model: the tool computes in float32 on the CPU, the model where it is placed.

Whatever crosses the seam is moved here and nowhere else: tokens go in to the model's device in its precision, what
comes back is float32 on the CPU, and gradients pass both ways. (Attention crosses it on its way to a tape, in
`hearing`.) For a model on the CPU in float32 there is no seam at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from inspect import isfunction
from typing import Any

from torch import Tensor

from fusion_core.foreign.family import Parts
from fusion_core.foreign.head import ForeignHead
from fusion_core.foreign.place import HERE, Place
from fusion_core.fusion.head import Head
from fusion_core.types import TokenAxis

#: What of an encoder runs layers of the model. `prepare` does not, but for the table of embeddings it may look up in.
ENCODER = ("encode", "embedding", "embed")
#: What of a head does not run the model: its front is the tool's own, and a stranger is drawn from the CPU's generator.
NOT_RUN = ("forward", "project", "stranger")

_inside: ContextVar[bool] = ContextVar("inside_a_foreign_model", default=False)


def placed(parts: Parts, place: Place) -> Parts:
    """Put the seam around a family's encoders and head, whose weights are at `place` already."""
    parts.head.place = place
    if not place.is_here:
        for encoder in parts.encoders.values():
            _cross(encoder, (name for name in ENCODER if hasattr(encoder, name)), place)
            # Tokens that are kept by what made them must not be taken for those of another precision.
            encoder.preprocessing = {**encoder.preprocessing, "precision": place.precision}
        _cross(parts.head, _public(type(parts.head)), place)
    return parts


def _cross(owner: object, names: Iterator[str], place: Place) -> None:
    for name in names:
        # Into the dictionary itself: `nn.Module` would refuse it where a layer stood.
        owner.__dict__[name] = Crossing(getattr(owner, name), place)


def _public(kind: type[ForeignHead]) -> Iterator[str]:
    """Name the methods of a head by which the tool runs the model."""
    own = [each for each in kind.__mro__ if issubclass(each, Head)]
    names = {name for each in own for name, what in vars(each).items() if isfunction(what)}
    yield from sorted(name for name in names if not name.startswith("_") and name not in NOT_RUN)


@dataclass
class Crossing:
    """A part of a model that is called from the CPU in float32 and runs where the model is.

    A dataclass rather than a closure: a copy of the model then has crossings into the copy. Inside the model it is
    no seam, so that parts may call one another.
    """

    run: Callable[..., Any]
    place: Place

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Call the part with everything moved there, and return everything moved back."""
        if _inside.get():
            return self.run(*given, **named)
        token = _inside.set(True)
        try:
            with self.place.device:  # what the model makes by itself, such as positions, is made there
                found = self.run(*moved(given, self.place), **moved(named, self.place))
        finally:
            _inside.reset(token)
        return moved(found, HERE)


def moved(value: Any, place: Place) -> Any:
    """Return a value with every tensor in it at a place; the precision is that of numbers with a fraction only."""
    if isinstance(value, Tensor):
        return value.to(place.device, place.dtype) if value.is_floating_point() else value.to(place.device)
    if is_dataclass(value) and not isinstance(value, (type, TokenAxis)):
        return replace(value, **{f.name: moved(getattr(value, f.name), place) for f in fields(value)})
    if isinstance(value, Mapping):
        return {key: moved(one, place) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(moved(one, place) for one in value)
    return value
