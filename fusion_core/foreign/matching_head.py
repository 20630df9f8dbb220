"""What heads share that only match: towers for readings of a text and for a picture, then layers where they meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from fusion_core.attention import open_tape
from fusion_core.foreign.head import ROWS, ForeignHead, fused_in_parts, read_alone
from fusion_core.foreign.matching import Fed, Readings, Written
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.types import Tokens


class MatchingHead(ForeignHead):
    """Each modality through a tower of its own; subclasses write the towers and how they are joined.

    A match: the family's two logits, 0 where one of the pair is absent. Labels: see `Readings`. fused: what the
    matching head reads, the mean over labels.
    """

    kernel = "explicit"

    def __init__(self, specs: Mapping[str, TokenSpec], readings: Readings) -> None:
        super().__init__(specs)
        self.readings = readings
        self.bytes_per_element = ForeignHead.bytes_per_element * readings.count
        self.at_once = max(1, ROWS // readings.count)

    @property
    def cannot(self) -> dict[str, str]:
        """Say that labels are matched with a picture, so that without one there is no answer."""
        if not self.readings.asked:
            return {}
        return {
            "answer without image": "its head matches text with an image: without one the logits of all labels are 0"
        }

    def read(self, written: Written, count: int) -> Fed:
        """Run text through its tower, `count` readings of a record one after the other."""
        raise RuntimeError(f"{type(self).__name__} does not define read")

    def seen(self, image: Tokens) -> Fed:
        """Run pictures through their tower."""
        raise RuntimeError(f"{type(self).__name__} does not define seen")

    def joined(self, text: Fed, image: Fed | None) -> tuple[Tensor, Tensor]:
        """Return `[no match, match] [R, 2]` of each reading and what it is read from, `[R, F]`; None: no picture."""
        raise RuntimeError(f"{type(self).__name__} does not define joined")

    def last(self, modality: str, states: Tensor) -> Tensor:
        """Return the last states of a tower as they are told, `[B, T, D]`."""
        return states

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run rows through towers and joining layers, a few at a time when nobody differentiates."""
        return fused_in_parts(self._some, projected, self.at_once)

    def combine_rows(self, projected: Mapping[str, Tokens], rows: Mapping[str, Tensor]) -> HeadOutput:
        """Join combinations of a pool's rows; each row of the pool goes through its tower once."""
        # The last row of each pool is absent: that is where -1 points.
        pool = {m: t.rows(torch.cat([torch.arange(len(t.mask)), torch.tensor([-1])])) for m, t in projected.items()}
        text = self._in_parts(lambda t: self.read(self.readings.written(t), self.readings.count), pool["text"])
        image = self._in_parts(self.seen, pool["image"])
        worded, pictured = (pool[m].mask.any(dim=1)[rows[m]] for m in ("text", "image"))
        whole = torch.is_grad_enabled() or open_tape() is not None
        done = []
        for part in torch.arange(len(rows["text"])).split(len(rows["text"]) if whole else self.at_once):
            words = (rows["text"][part] % len(pool["text"].mask))[:, None] * self.readings.count
            read = text.rows((words + torch.arange(self.readings.count)).flatten())
            done.append(self._answered(read, image.rows(rows["image"][part]), worded[part], pictured[part]))
        logits, fused = (torch.cat(found) for found in zip(*done, strict=True))
        return HeadOutput(logits, {}, fused)

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the last states of a modality's own tower: the layers where they meet were made for pairs only."""

        def run(own: Tokens) -> Tensor:
            first = 1 if modality == "image" else len(self.readings.before)
            fed = self.seen(own) if modality == "image" else self.read(self.readings.plain(own), 1)
            return self.last(modality, fed.states[:, -1])[:, first : first + own.mask.shape[1]]

        return read_alone(run, tokens)

    def _some(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        text, image = given["text"], given["image"]
        there = image.mask.any(dim=1)
        read = self.read(self.readings.written(text), self.readings.count)
        return self._answered(read, self.seen(image) if bool(there.any()) else None, text.mask.any(dim=1), there)

    def _answered(self, read: Fed, seen: Fed | None, text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits `[B, C]` and fused `[B, F]`; text, image: which are present `[B]`."""
        each = None
        if seen is not None and bool(image.any()):
            each = Fed(self.readings.each(seen.states), self.readings.each(seen.taken), seen.axis)
        pair, fused = self.joined(read, each)
        return self.readings.logits(pair, text, image), self.readings.mean(fused)

    def _in_parts(self, run: Callable[[Tokens], Fed], tokens: Tokens) -> Fed:
        count = len(tokens.mask)
        whole = torch.is_grad_enabled() or open_tape() is not None
        done = [run(tokens.rows(part)) for part in torch.arange(count).split(count if whole else self.at_once)]
        return Fed(torch.cat([d.states for d in done]), torch.cat([d.taken for d in done]), done[0].axis)
