"""The shelf of families: which `model_type` is read, by which named class, and for which tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusion_core.asked import Asked
from fusion_core.encoders import Encoder
from fusion_core.errors import CallError, ModelError
from fusion_core.foreign.folder import Folder, read_config
from fusion_core.foreign.head import ForeignHead
from fusion_core.foreign.place import Place
from fusion_core.registry import Registry

DECODER = "decoder"  # the one kind of fusion that is told something beside the record


@dataclass(frozen=True)
class Parts:
    """What a family makes of a directory: an encoder per modality and the head that fuses them."""

    encoders: Mapping[str, Encoder]
    head: ForeignHead


@dataclass(frozen=True)
class Family:
    """A family of models.

    class_names: the Transformers class that answers each task, `labels` or `match`. fusion: how it fuses, in a word.
    settings: entries of its config that are set whatever the directory says. unused: parts of names of weights that
    no answer reads, so that a directory may lack them; any other that is missing would be random, and is refused.
    parts: the `model_type` that a part of its config may have, where its class would make whatever is named there.
    """

    class_names: Mapping[str, str]
    fusion: str
    build: Callable[[Any, Folder, Asked], Parts]
    settings: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def load(self, folder: Folder, task: str, place: Place) -> Any:
        """Return the model of a folder that answers a task, frozen, at a place; raises ModelError for another part."""
        for part, known in self.parts.items():
            given = folder.config.get(part)
            kind = given.get("model_type", known[0]) if isinstance(given, dict) else known[0]
            if kind not in known:
                raise ModelError(
                    f"{part} of {folder.path.name} has model_type {str(kind)[:80]!r}; read there: {', '.join(known)}",
                    "model_refused",
                )
        return folder.load(self.class_name(folder, task), place, self.settings, self.unused)

    def class_name(self, folder: Folder, task: str) -> str:
        """Return the class to load for a task; raises CallError where the folder's weights are for another one."""
        wanted = self.class_names[task]
        named = folder.config.get("architectures")
        own = {str(n) for n in named} & set(self.class_names.values()) if isinstance(named, list) else set()
        if own and wanted not in own:
            can = [t for t, name in self.class_names.items() if name in own]
            raise CallError(f"{folder.path.name} is a {sorted(own)[0]}: it answers --{can[0]}, not --{task}")
        return wanted


family: Registry[Family] = Registry("family")


def takes_prompt(path: Path) -> bool:
    """Return whether a directory holds a model that is told something beside the record."""
    kind = str(read_config(path).get("model_type"))
    return kind in family and family[kind].fusion == DECODER


def family_of(folder: Folder) -> tuple[str, Family]:
    """Return the family a directory belongs to; raises ModelError (`model_refused`) for one that is not on the list."""
    kind = str(folder.config.get("model_type"))
    if kind not in family:
        raise ModelError(f"model_type {kind!r} is no family that is read; known: {', '.join(family)}", "model_refused")
    return kind, family[kind]
