"""A foreign model's encoders as those of a bundle, and the model itself as one more strategy over the same tokens.

A token carries both levels: `values` is the model's last state at it when it reads that modality alone, which is what
strategies fitted here fuse; `raw` is what the model's own fusion reads, such as embeddings of pieces and patches.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusion_core.asked import MATCH, Asked
from fusion_core.encoders import Encoder, EncoderRoots, EncoderSource
from fusion_core.encoders.source import locate
from fusion_core.encoders.stack import EncoderStack, LoadedStack
from fusion_core.errors import CallError, ModelError
from fusion_core.foreign.family import Parts, family_of
from fusion_core.foreign.folder import Folder, open_folder
from fusion_core.foreign.head import ForeignHead
from fusion_core.foreign.load import parts_of
from fusion_core.foreign.original import OriginalHead
from fusion_core.foreign.place import HERE
from fusion_core.fusion.head import TokenSpec
from fusion_core.types import ModalityInputs, Tokens


class StatesEncoder:
    """One modality of a foreign model: its own encoder, and the states its transformer comes to by it alone.

    bytes_per_element: as of a head, for a gradient goes through the same layers.
    """

    def __init__(self, own: Encoder, head: ForeignHead, source: EncoderSource, family: str) -> None:
        self.own, self.head, self.source = own, head, source
        self.modality, self.baseline_name = own.modality, own.baseline_name
        self.spec = states_spec(own, head)
        self.bytes_per_element = head.bytes_per_element
        self.preprocessing: dict[str, Any] = {**own.preprocessing, "states": family}

    def prepare(self, given: Sequence[Any]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Return inputs `[B, ...]` as the model's own encoder prepares them."""
        return self.own.prepare(given)

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Return states `[B, T, D']` and, as `raw`, the tokens they are states of, `[B, T, D]`."""
        tokens = self.own.encode(inputs)
        return replace(tokens, values=self.head.states(self.modality, tokens).values, raw=tokens.values)

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input of the model's own encoder."""
        return self.own.baseline(inputs)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which token each element of the first row's values belongs to."""
        return self.own.token_of(inputs)


def states_spec(own: Encoder, head: ForeignHead) -> TokenSpec:
    """Return what a head must know of such tokens; raises CallError where the family has no states of the modality."""
    return replace(own.spec, width=head.states_width(own.modality), raw=own.spec.width)


@dataclass(frozen=True)
class Origin:
    """An opened foreign model. encoders: those of a bundle. head: its own fusion as a strategy over their tokens.

    asked: what it was opened with. cannot: why its own answers are not those of the bundle, "" where they are.
    """

    family: str
    asked: Asked
    encoders: Mapping[str, StatesEncoder]
    head: OriginalHead
    cannot: str

    @property
    def own(self) -> EncoderStack:
        """Its encoders as it reads them itself."""
        return LoadedStack({m: encoder.own for m, encoder in self.encoders.items()})


def encoders_of(path: Path, wanted: Asked, source: EncoderSource | None = None) -> Origin:
    """Open a directory for its encoders, asked what is wanted or, where it cannot answer that, what it can.

    source: the name it has in a bundle, and the hashes it must have. Raises ModelError for what is not loaded or is
    another model than it was; CallError where it has no states of a modality by itself.
    """
    folder = open_folder(path)
    given = source or EncoderSource("model", Path(os.path.abspath(path)).name)
    _same(folder, given)
    name, _ = family_of(folder)
    parts, asked, cannot = _built(folder, wanted)
    known = replace(folder.source, source="model", name=given.name)
    encoders = {m: StatesEncoder(own, parts.head, known, name) for m, own in parts.encoders.items()}
    head = OriginalHead(parts.head, {m: encoder.spec for m, encoder in encoders.items()})
    return Origin(name, asked, encoders, head, cannot)


def question_of(classes: Sequence[str]) -> Asked:
    """Return what is asked of a model beside strategies over these classes: a match where that is what they are."""
    return Asked(task="match") if set(classes) == set(MATCH) else Asked(labels=tuple(classes))


def _same(folder: Folder, given: EncoderSource) -> None:
    found = folder.source
    for what, is_now, was in (
        ("weights", found.sha256, given.sha256),
        ("settings", found.settings_sha256, given.settings_sha256),
    ):
        if was and is_now != was:
            raise ModelError(
                f"the {what} of {folder.path.name} have SHA-256 {is_now[:12]}… but {was[:12]}… was expected: this is "
                "not the model that the strategies were fitted on, or it is damaged"
            )


def _built(folder: Folder, wanted: Asked) -> tuple[Parts, Asked, str]:
    """Build what can be built, where bundles run: its encoders are the same whatever is asked."""
    _, found = family_of(folder)
    refusals: list[str] = []
    for asked in (wanted, *_able(folder)):
        try:
            _ = asked.classes
            parts = parts_of(found, folder, asked, HERE)
        except CallError as error:
            refusals.append(str(error))
            continue
        return parts, asked, refusals[0] if refusals else ""
    raise CallError(refusals[0])


def _able(folder: Folder) -> Iterator[Asked]:
    """Yield what a model may be asked just to be opened: a match, or two answers that its own classifier has."""
    yield Asked(task="match")
    named = folder.config.get("id2label")
    if isinstance(named, dict) and len(set(named.values())) > 1:
        yield Asked(labels=tuple(dict.fromkeys(str(name) for name in named.values()))[:2])


class ModelStack(EncoderStack):
    """Encoders of which some are parts of one foreign model, which is opened once for all of them.

    wanted: what is asked of it. bias: the threshold of its matches where the family has none of its own.
    """

    def __init__(
        self,
        sources: Mapping[str, EncoderSource],
        roots: EncoderRoots | None,
        preprocessing: Mapping[str, dict[str, Any]] | None,
        wanted: Asked,
        bias: float | None = None,
    ) -> None:
        super().__init__(sources, roots, preprocessing)
        self.wanted, self.bias = wanted, bias
        self.parts = tuple(m for m, source in self.given.items() if source.source == "model")
        if len({self.given[m] for m in self.parts}) != 1:
            raise CallError("encoders of one bundle may be parts of one model, not of several")

    @classmethod
    def whole(cls, path: Path, wanted: Asked) -> ModelStack:
        """Return all encoders of a directory; raises ModelError and CallError as `encoders_of` does."""
        origin = encoders_of(path, wanted)
        stack = cls({m: encoder.source for m, encoder in origin.encoders.items()}, None, None, wanted)
        stack.origin = origin
        return stack

    @cached_property
    def origin(self) -> Origin:
        """The model that encoders are parts of; raises ModelError when it is not found, or another one now."""
        source = self.given[self.parts[0]]
        found = encoders_of(locate(source, self.roots), self.wanted, source)
        lacking = [m for m in self.parts if m not in found.encoders]
        if lacking:
            raise CallError(f"{source.name} does not read {' or '.join(lacking)}; it reads {_named(found.encoders)}")
        if self.bias is not None:
            found.head.own.bias = torch.tensor(self.bias)
        if not found.cannot and set(found.encoders) != set(self.modalities):
            reads = f"it reads {_named(found.encoders)}, and the strategies {_named(self.modalities)}"
            found = replace(found, cannot=reads)
        return found

    def opened(self, modality: str) -> Encoder:
        """Return a part of the model, or an encoder as its source gives it."""
        return self.origin.encoders[modality] if modality in self.parts else super().opened(modality)


def stack_of(
    sources: Mapping[str, EncoderSource],
    roots: EncoderRoots | None = None,
    preprocessing: Mapping[str, dict[str, Any]] | None = None,
    wanted: Asked | None = None,
    bias: float | None = None,
) -> EncoderStack:
    """Return encoders by their sources, whether or not some are parts of a foreign model; see `ModelStack`."""
    if all(source.source != "model" for source in sources.values()):
        return EncoderStack(sources, roots, preprocessing)
    return ModelStack(sources, roots, preprocessing, wanted or Asked(), bias)


def _named(modalities: Mapping[str, Any] | Sequence[str]) -> str:
    return " and ".join(modalities)
