"""A named shelf of interchangeable parts: one decorator to put a part on it, one look-up to take it off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from fusion_core.errors import CallError

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """Parts by name, in the order they were registered."""

    def __init__(self, word: str) -> None:
        self.word = word
        self._parts: dict[str, Part] = {}

    def __call__(self, name: str) -> Callable[[Part], Part]:
        """Decorate a part to put it on the shelf under `name`."""

        def register(part: Part) -> Part:
            if name in self._parts:
                raise ValueError(f"{self.word} {name!r} is registered twice")
            self._parts[name] = part
            return part

        return register

    def __getitem__(self, name: str) -> Part:
        if name not in self._parts:
            raise CallError(f"unknown {self.word} {name!r}; known: {', '.join(self._parts)}")
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def items(self) -> Iterable[tuple[str, Part]]:
        """Return names and parts, in order."""
        return self._parts.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)
