"""Import an operator's own object by the name they gave on their command line: the one place that runs code by name."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fusion_core.encoders import EncoderSource
from fusion_core.encoders.stack import LoadedStack
from fusion_core.errors import CallError, RecordError
from fusion_core.foreign.donors import draw
from fusion_core.model import Background, FusedModel, as_loaded
from fusion_core.own.conform import Conformance, Point, conform
from fusion_core.own.encoder import OwnEncoder
from fusion_core.own.head import OwnHead
from fusion_core.probe import PROBE
from fusion_core.types import MODALITIES, Inputs, Record

Records = Callable[[], Sequence[Record]]
NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def load_object(named: str, records: Records | None = None, seed: int = 0) -> FusedModel:
    """Open `package.module:factory` as a fused model; donors are drawn from `records` when they are first needed.

    Raises CallError, saying what to change, where it does not hold to the protocol.
    """
    model = made(named)
    found = conform(model, PROBE)
    if found.broken:
        raise CallError(f"{named}: {found.broken[0].words} (see doctor --model-object {named})")
    source = EncoderSource("directory", named)
    modalities = [m for m in MODALITIES if m in model.modalities]
    stack = OwnStack({m: OwnEncoder(model, m, source, found.specs[m]) for m in modalities}, found.needs)
    heads = {s: OwnHead(found.specs, model, s, len(model.classes)) for s in model.strategies}
    default = next(iter(heads))

    def background() -> Background:
        if records is None:
            raise CallError("this model has no donors of its own: open it with --records, from which they are drawn")
        return draw(stack, heads[default], records(), seed)

    fitted = {s: as_loaded(s, head.parameter_count()) for s, head in heads.items()}
    mark = mark_of(named)
    return FusedModel(model.name, model.classes, stack, heads, fitted, background, default, mark=mark)


def mark_of(named: str) -> str:
    """Return a hash of an operator's object: of its name, for their code may read anything."""
    return hashlib.sha256(named.encode()).hexdigest()


def object_lines(named: str) -> Iterator[Point]:
    """Yield what holds and what does not: the check a team runs while writing its model."""
    found: Conformance = conform(made(named), PROBE)
    yield from found.points


def made(named: str) -> Any:
    """Import the module and call the factory; raises CallError with what their code raised."""
    if not NAME.fullmatch(named):
        raise CallError(f"--model-object {named!r} is not of the form package.module:factory")
    module, _, factory = named.partition(":")
    try:
        return getattr(importlib.import_module(module), factory)()  # named on the command line, never in a file
    except Exception as error:  # whatever their code raises is what they must read
        raise CallError(f"{named} cannot be made: {type(error).__name__}: {error}") from error


class OwnStack(LoadedStack):
    """The encoders of a team's model, and the modalities it cannot answer without."""

    def __init__(self, encoders: dict[str, OwnEncoder], needs: tuple[str, ...]) -> None:
        super().__init__(encoders)
        self.needs = needs

    def prepare(self, records: Sequence[Record]) -> Inputs:
        """Prepare records; raises RecordError for one that lacks what the model cannot answer without."""
        for record in records:
            lacking = [m for m in self.needs if m not in record.present()]
            if lacking:
                raise RecordError(f"the model cannot answer without {lacking[0]}", "modality_missing", record.id)
        return super().prepare(records)
