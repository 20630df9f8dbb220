"""The shelf of families: which `model_type` is read, by which named class, and for which tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fusion_core.asked import Asked
from fusion_core.encoders import Encoder
from fusion_core.errors import ModelError
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import ForeignHead
from fusion_core.registry import Registry


@dataclass(frozen=True)
class Parts:
    """What a family makes of a directory: an encoder per modality and the head that fuses them."""

    encoders: Mapping[str, Encoder]
    head: ForeignHead


@dataclass(frozen=True)
class Family:
    """A family of models.

    class_names: the Transformers classes that are loaded, picked by `architectures` in the config, the first when it
    names none of them. fusion: how it fuses, in a few words. tasks: what it can be asked.
    """

    class_names: tuple[str, ...]
    fusion: str
    tasks: tuple[str, ...]
    build: Callable[[Any, Folder, Asked], Parts]

    def class_name(self, folder: Folder) -> str:
        """Return the class to load."""
        named = folder.config.get("architectures")
        named = [str(n) for n in named] if isinstance(named, list) else []
        return next((n for n in named if n in self.class_names), self.class_names[0])


family: Registry[Family] = Registry("family")


def family_of(folder: Folder) -> tuple[str, Family]:
    """Return the family a directory belongs to; raises ModelError (`model_refused`) for one that is not on the list."""
    kind = str(folder.config.get("model_type"))
    if kind not in family:
        raise ModelError(f"model_type {kind!r} is no family that is read; known: {', '.join(family)}", "model_refused")
    return kind, family[kind]
