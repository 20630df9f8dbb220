"""All tokens of one record as a single axis, and a tape as the steps that moved information along it.

Letters: `N` tokens of all segments together (modalities and learned ones), `H` heads, `T_q` and `T_k` of one capture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion_core.attention import Captured, Segments, Tape
from fusion_core.types import MODALITIES, AttentionScores, Share

Block = Callable[[int, Captured], Tensor]
Step = tuple[int, ...]


def mean_of_heads(_: int, captured: Captured) -> Tensor:
    """Return the mean attention over heads of the first record, `[T_q, T_k]` (a block for `Joint.matrix`)."""
    return captured.weights[0].detach().mean(dim=0).double()


@dataclass(frozen=True)
class Joint:
    """The first record of a tape on one axis.

    places: where each segment stands on it. exists: which tokens are there, `bool [N]`. steps: positions in `captured`,
    one group per site and layer in the order they were first heard. A site and layer runs in parallel: its captures
    read the same state and are applied at once. Gates, empty axes and what belongs to absent modalities are in no step.
    """

    captured: tuple[Captured, ...]
    places: dict[str, slice]
    exists: Tensor
    steps: tuple[Step, ...]

    def matrix(self, step: Step, block: Block, merge: bool = True) -> Tensor:
        """Return one step as `[N, N]`: row q is what token q takes in; rows that take in nothing are zero.

        block: what a capture puts there, `[T_q, T_k]`. Captures that only read other segments add up, for their
        outputs are added to one residual (MulT). Captures whose keys hold the segment they update are whole blocks
        with a residual of their own: where several update one segment it becomes their mean (the bottlenecks of MBT),
        so with `merge` they are averaged. Without it they add up: gradients have that mean in them already.
        """
        total = self.exists.new_zeros(len(self.exists), len(self.exists), dtype=torch.double)
        for number in step:
            captured = self.captured[number]
            rows, columns = self._index(captured.query), self._index(captured.key)
            value = block(number, captured)
            if merge:
                value = value / self._sharers(step, captured)[:, None]
            total[rows[:, None], columns] += value
        return torch.where(self.exists[:, None] & self.exists, total, 0.0)

    def readout(self, names: Sequence[str]) -> Tensor:
        """Return the weights `[N]` of the mean over the named segments that exist, each the mean of its tokens."""
        weights = torch.zeros(len(self.exists), dtype=torch.double)
        for name in names:
            if name in self.places:
                there = self.exists[self.places[name]]
                weights[self.places[name]] = there / there.sum().clamp(min=1)
        return weights / weights.sum().clamp(min=1e-12)

    def crossing(self, step: Step) -> bool:
        """Return whether in a step any segment reads the tokens of a modality other than itself."""
        return any(
            owner(query) != key and key in MODALITIES
            for number in step
            for query, _ in self.captured[number].query
            for key, _ in self.captured[number].key
        )

    def scores(self, method: str, target: str | None, row: Tensor) -> AttentionScores:
        """Cut `row [N]` into the modalities present, with what share each has of what falls on modalities."""
        present = [m for m in MODALITIES if m in self.places and bool(self.exists[self.places[m]].any())]
        cut = {m: row[self.places[m]].numpy() for m in present}
        total = sum(float(scores.sum()) for scores in cut.values())
        shares = {}
        for m, scores in cut.items():
            mass = float(scores.sum()) / total if total > 0 else 0.0
            shares[m] = Share(mass, mass / int(self.exists[self.places[m]].sum()))
        return AttentionScores(method, target, cut, shares)

    def _index(self, segments: Segments) -> Tensor:
        axis = torch.arange(len(self.exists))
        return torch.cat([axis[self.places[name]] for name, _ in segments])

    def _sharers(self, step: Step, captured: Captured) -> Tensor:
        """Return per query `[T_q]` how many blocks of a step update its segment, this one among them."""
        counts = []
        for name, length in captured.query:
            blocks = sum(_is_block(self.captured[number], name) for number in step)
            counts += [float(blocks) if _is_block(captured, name) else 1.0] * length
        return torch.tensor(counts, dtype=torch.double)


def owner(name: str) -> str:
    """Return the modality a segment belongs to (`text_end` to text), else its own name."""
    first = name.partition("_")[0]
    return first if first in MODALITIES else name


def joint(tape: Tape) -> Joint | None:
    """Lay the first record of a tape on one axis; None when no attention between tokens that exist was captured."""
    heard = [n for n, c in enumerate(tape.captured) if c.kind == "attention" and 0 not in c.weights.shape]
    if not heard:
        return None
    lengths: dict[str, int] = {}
    there: dict[str, Tensor] = {}
    for captured in (tape.captured[n] for n in heard):
        for name, length in (*captured.query, *captured.key):
            if lengths.setdefault(name, length) != length:
                raise ValueError(f"{captured.site} has {length} {name} tokens where another site has {lengths[name]}")
        there.update(_keys_there(captured))
    places, start = {}, 0
    for name, length in lengths.items():
        places[name] = slice(start, start + length)
        start += length
    exists = torch.cat([there.get(name, torch.ones(length, dtype=torch.bool)) for name, length in lengths.items()])
    steps: dict[tuple[str, int], list[int]] = {}
    for n in heard:
        if _feeds(tape.captured[n], places, exists):
            steps.setdefault((tape.captured[n].site, tape.captured[n].layer), []).append(n)
    return Joint(tuple(tape.captured), places, exists, tuple(map(tuple, steps.values()))) if steps else None


def _keys_there(captured: Captured) -> dict[str, Tensor]:
    if captured.allowed is None:
        return {}
    lengths = [length for _, length in captured.key]
    parts = captured.allowed[0].flatten(0, -2).any(dim=0).split(lengths)
    return dict(zip((name for name, _ in captured.key), parts, strict=True))


def _feeds(captured: Captured, places: Mapping[str, slice], exists: Tensor) -> bool:
    """Say whether a capture takes part; a stream whose modality is absent runs in a batch, but feeds nothing."""

    def some(names: Sequence[str]) -> bool:
        return any(bool(exists[places[name]].any()) for name in names)

    queries, keys = [name for name, _ in captured.query], [name for name, _ in captured.key]
    modalities = [name for name in (*queries, *keys) if name in MODALITIES]
    return some(queries) and some(keys) and (not modalities or some(modalities))


def _is_block(captured: Captured, name: str) -> bool:
    return name in dict(captured.query) and name in dict(captured.key)
