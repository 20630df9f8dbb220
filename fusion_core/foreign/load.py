"""From a Hugging Face directory to a fused model of one strategy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from fusion_core.asked import Asked
from fusion_core.encoders import EncoderSource
from fusion_core.encoders.stack import EncoderStack, LoadedStack
from fusion_core.errors import CallError
from fusion_core.foreign.donors import DONORS, draw
from fusion_core.foreign.family import DECODER, Family, Parts, family_of
from fusion_core.foreign.folder import Folder, open_folder
from fusion_core.foreign.late import LateHead
from fusion_core.foreign.place import Place, place_of
from fusion_core.foreign.placing import placed
from fusion_core.fusion import Head
from fusion_core.model import Background, FusedModel, as_loaded
from fusion_core.tokens import encode_records
from fusion_core.types import Record

Records = Callable[[], Sequence[Record]]


def load_foreign(path: Path, asked: Asked, records: Records | None = None, seed: int = 0) -> FusedModel:
    """Load a directory as a fused model; its donors are drawn from `records` when they are first needed.

    Raises ModelError for what is not loaded, CallError when it is not said what to ask of the model.
    """
    folder = open_folder(path)
    name, found = family_of(folder)
    if asked.prompt and found.fusion != DECODER:
        raise CallError(f"{path.name} is no decoder: {name} is told nothing but the record; leave out --prompt")
    classes = asked.classes
    parts = parts_of(found, folder, asked, place_of(asked))
    stack = LoadedStack(parts.encoders)
    head = parts.head

    def background() -> Background:
        if records is None:
            raise CallError("this model has no donors of its own: open it with --records, from which they are drawn")
        return draw(stack, head, records(), seed)

    fitted = {name: as_loaded(name, head.parameter_count())}
    mark = mark_of(folder.source, asked)
    model = FusedModel(path.name, classes, stack, {name: head}, fitted, background, name, mark=mark)
    if needs_threshold(head, asked) and records is not None:
        assert isinstance(head, LateHead)
        head.bias = threshold(head, stack, records(), seed)
    return model


def parts_of(found: Family, folder: Folder, asked: Asked, place: Place) -> Parts:
    """Return a family's encoders and head, asked something, with the weights of a directory at a place.

    Raises CallError where it cannot answer that, before any weight is read if its class says so.
    """
    own = found.load(folder, "match" if asked.task else "labels", place)
    place = replace(place, held=sum(p.numel() * p.element_size() for p in own.parameters()))
    with place.device, torch.no_grad():
        return placed(found.build(own, folder, asked), place)


def needs_threshold(head: Head, asked: Asked) -> bool:
    """Return whether a match is asked of a family that has no threshold of its own."""
    return isinstance(head, LateHead) and bool(asked.task) and not head.own_bias


def mark_of(source: EncoderSource, asked: Asked) -> str:
    """Return a hash of all that decides the answers of a foreign model: its files, what it is asked, its precision."""
    about = [source.sha256, source.settings_sha256, asked.labels, asked.task, asked.prompt]
    precision = place_of(asked).precision
    if precision != "float32":  # it may answer otherwise; another device does not, beyond rounding
        about.append(precision)
    return hashlib.sha256(repr(about).encode()).hexdigest()


def threshold(head: LateHead, stack: EncoderStack, records: Sequence[Record], seed: int) -> torch.Tensor:
    """Return the bias of a match for a family that has none: minus `s` times a cosine, midway between two means.

    The means are those of up to 32 pairs as they are in the record set, and of all pairs drawn across them. Raises
    CallError with fewer than two pairs.
    """
    pairs = [record for record in records if set(stack.modalities) <= set(record.present())]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))[:DONORS].tolist()
    found, _ = encode_records(stack, [pairs[number] for number in order])
    if len(found) < 2:
        raise CallError(f"a match needs at least 2 records with {' and '.join(stack.modalities)}, for its threshold")
    with torch.no_grad():
        cosine = head.cosine(found.batch(torch.arange(len(found))))
    own = torch.eye(len(cosine), dtype=torch.bool)
    return -float(head.scale) * (cosine[own].mean() + cosine[~own].mean()) / 2
