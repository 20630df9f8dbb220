"""Whether a team's own model holds to the protocol, each point with what to change where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion_core.fusion.head import TokenSpec
from fusion_core.own.encoder import KINDS, axis_of, raw_of
from fusion_core.types import MODALITIES

NAMES = ("name", "classes", "modalities", "strategies", "prepare", "encode", "fuse")


@dataclass(frozen=True)
class Point:
    """One thing that was tried: whether it holds, and what to change where it does not.

    needed: without it the model cannot be opened.
    """

    name: str
    holds: bool
    words: str
    needed: bool = True


@dataclass
class Conformance:
    """What was tried of a model on one made-up record, and what was learned of its tokens."""

    points: list[Point]
    specs: dict[str, TokenSpec]
    needs: tuple[str, ...] = ()

    @property
    def broken(self) -> list[Point]:
        """The points without which the model cannot be opened."""
        return [point for point in self.points if point.needed and not point.holds]


def conform(model: Any, probe: Mapping[str, Any]) -> Conformance:
    """Try every name of the protocol on a made-up record: `probe[m]` is a decoded text, picture or clip."""
    found = Conformance(list(_names(model)), {})
    if found.broken:
        return found
    tokens: dict[str, Tensor] = {}
    for m in model.modalities:
        point = _modality(model, m, probe[m], tokens, found.specs)
        found.points.append(point)
    if not found.broken:
        for strategy in model.strategies:
            found.points += _strategy(model, strategy, tokens)
        found.needs = _needs(model, tokens, found)
    return found


def _names(model: Any) -> Iterator[Point]:
    missing = [name for name in NAMES if not hasattr(model, name)]
    if missing:
        yield Point("names", False, f"the object has no {', '.join(missing)}; it needs {', '.join(NAMES)}")
        return
    yield Point("name", isinstance(model.name, str) and bool(model.name), f"name is {model.name!r}; wanted a str")
    classes = _words(model.classes)
    fine = classes is not None and len(classes) >= 2 and len(set(classes)) == len(classes)
    yield Point("classes", fine, f"classes is {model.classes!r}; wanted at least two distinct str")
    modalities = _words(model.modalities)
    fine = bool(modalities) and set(modalities or ()) <= set(MODALITIES)
    yield Point("modalities", fine, f"modalities is {model.modalities!r}; wanted some of {', '.join(MODALITIES)}")
    yield Point("strategies", bool(_words(model.strategies)),
                f"strategies is {model.strategies!r}; name at least one way to fuse, such as ('own',)")  # fmt: skip


def _words(value: Any) -> list[str] | None:
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) and one for one in value):
        return list(value)
    return None


def _modality(model: Any, m: str, decoded: Any, tokens: dict[str, Tensor], specs: dict[str, TokenSpec]) -> Point:
    def bad(words: str) -> Point:
        return Point(f"modality: {m}", False, words)

    try:
        done = model.prepare(m, raw_of(m, decoded))
    except Exception as error:  # whatever their code raises is what they must read
        return bad(f"prepare({m!r}, ...) raised {type(error).__name__}: {error}")
    if not (isinstance(done, tuple) and len(done) == 2 and isinstance(done[0], Tensor)):
        return bad(f"prepare({m!r}, ...) returned {type(done).__name__}; return (values, spans), values a tensor")
    values, spans = done
    if not values.is_floating_point():
        return bad(
            f"prepare({m!r}, ...) gave {values.dtype}; give floats, such as embeddings rather than their numbers"
        )
    try:
        axis = axis_of(m, decoded, spans)
    except (TypeError, ValueError):
        wanted = "(rows, columns)" if m == "image" else "one (start, end) per token"
        return bad(f"prepare({m!r}, ...) gave spans {str(spans)[:60]}; wanted {wanted}")
    live = values.detach().float()[None].requires_grad_()
    try:
        encoded = model.encode(m, live)
    except Exception as error:
        return bad(f"encode({m!r}, values {list(live.shape)}) raised {type(error).__name__}: {error}")
    if not isinstance(encoded, Tensor) or encoded.ndim != 3 or encoded.shape[0] != 1:
        shape = list(encoded.shape) if isinstance(encoded, Tensor) else type(encoded).__name__
        return bad(f"encode({m!r}, ...) returned {shape}; wanted [1, tokens, width]")
    if encoded.shape[1] != len(axis.labels):
        return bad(f"encode({m!r}, ...) gave {encoded.shape[1]} tokens, but prepare gave {len(axis.labels)} spans; "
                   "give one span per token")  # fmt: skip
    tokens[m], specs[m] = encoded.detach(), TokenSpec(int(encoded.shape[2]), KINDS[m], axis.grid)
    words = f"{encoded.shape[1]} tokens of width {encoded.shape[2]}"
    if not encoded.requires_grad:
        words += "; no gradient passes encode (is there a torch.no_grad?), so gradient methods fail at the input seam"
        return Point(f"modality: {m}", False, words, needed=False)
    return Point(f"modality: {m}", True, words)


def _strategy(model: Any, strategy: str, tokens: dict[str, Tensor]) -> Iterator[Point]:
    name, classes = f"fuse: {strategy}", len(model.classes)
    live = {m: t.clone().requires_grad_() for m, t in tokens.items()}
    try:
        logits = model.fuse(live, strategy)
        again = model.fuse({m: t.repeat(3, 1, 1) for m, t in tokens.items()}, strategy)
    except Exception as error:
        yield Point(name, False, f"fuse(tokens, {strategy!r}) raised {type(error).__name__}: {error}")
        return
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (1, classes):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        yield Point(name, False, f"fuse returned {shape}; wanted logits [1, {classes}], one per class")
        return
    if not bool(torch.isfinite(logits).all()):
        yield Point(name, False, "fuse returned NaN or infinity on an ordinary record")
        return
    if not logits.requires_grad:
        yield Point(name, False, "no gradient passes fuse (is there a torch.no_grad?); gradient methods need it", False)
    if tuple(again.shape) != (3, classes) or not torch.allclose(again, logits.expand(3, -1), atol=1e-4):
        yield Point(name, False, "three copies of a record in one batch are answered otherwise than the record alone: "
                    "call .eval() on modules with dropout or batch norm, and mix no rows")  # fmt: skip
        return
    yield Point(name, True, f"logits [B, {classes}], the same alone and in a batch")


def _needs(model: Any, tokens: dict[str, Tensor], found: Conformance) -> tuple[str, ...]:
    """Return the modalities it cannot answer without, and note which it can."""
    needs = []
    for m in tokens if len(tokens) > 1 else ():
        rest = {o: t for o, t in tokens.items() if o != m}
        try:
            fine = all(
                bool(torch.isfinite(logits := model.fuse(rest, s)).all())
                and tuple(logits.shape) == (1, len(model.classes))
                for s in model.strategies
            )
            words = f"fuse answers without {m}" if fine else f"fuse gives no finite logits without {m}"
        except Exception as error:
            fine, words = False, f"fuse raised {type(error).__name__} without {m}: {error}"
        if not fine:
            needs.append(m)
            words += "; records without it end as errors, and removal uses donors only"
        found.points.append(Point(f"absent: {m}", fine, words, needed=False))
    return tuple(needs)
