"""What an attribution method is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fusion_core.errors import CallError
from fusion_core.registry import Registry
from fusion_core.types import Seam

Values = tuple[Tensor, ...]

#: Bytes that gradients of one batch may take.
MEMORY_BUDGET = 1_500_000_000
#: Bytes of one row beyond which a gradient takes seconds as well.
HEAVY_ROW = 500_000_000


@dataclass(frozen=True)
class Scores:
    """Token scores `[T]` per modality; the completeness error where the method promises a sum.

    spread: standard error per token of a method that samples. done: share of its planned passes behind it.
    """

    tokens: dict[str, Tensor]
    delta: float | None
    error: float | None
    evaluations: int
    spread: dict[str, Tensor] | None = None
    done: float = 1.0


def _say_nothing(done: int, planned: int, partly: Scores | None) -> None:
    """Listen to progress without a word."""


@dataclass(frozen=True)
class Problem:
    """One record, one strategy, one class, at one seam.

    forward: values of the modalities in `modalities`, batch first, to the explained logit, `[B]`: centred, or minus
    that of another class. values, baselines: one `[1, ...]` tensor each. donors: real records' values, `[n, ...]` each,
    where the seam has them. cells: which token each element of a value belongs to, `[...]`, -1 for none. scale: the
    largest range any class's centred logit has over the background, the yardstick of small differences. report: told
    passes done, passes planned and what is known so far; whoever raises in it ends the method.
    """

    seam: Seam
    modalities: tuple[str, ...]
    forward: Callable[..., Tensor]
    values: Values
    baselines: Values
    baseline_name: str
    to_tokens: Mapping[str, Callable[[Tensor], Tensor]]
    cells: Mapping[str, Tensor]
    grids: Mapping[str, tuple[int, int] | None]
    scale: float
    bytes_per_element: int
    donors: Values | None = None
    seed: int = 0
    report: Callable[[int, int, Scores | None], None] = field(default=_say_nothing)

    def batch(self, most: int) -> int:
        """Return how many rows may be differentiated at once within the memory budget, from 1 to `most`."""
        return max(1, min(most, MEMORY_BUDGET // max(1, self.row_bytes)))

    @property
    def row_bytes(self) -> int:
        """Memory that differentiating one row takes: what a model costs, whatever machine it runs on."""
        return self.bytes_per_element * sum(v.numel() for v in self.values)

    @property
    def heavy(self) -> bool:
        """Whether one row is so much work that a few dozen gradients are minutes."""
        return self.row_bytes > HEAVY_ROW

    @property
    def counts(self) -> dict[str, int]:
        """Tokens of each modality; all tokens in this order are the players of a perturbation."""
        return {m: int(self.cells[m].max()) + 1 for m in self.modalities}

    def cut(self, players: Tensor) -> dict[str, Tensor]:
        """Cut numbers of all players `[P]` into modalities, `[T]` each."""
        return dict(zip(self.modalities, players.split(list(self.counts.values())), strict=True))

    def kept(self, players: Tensor) -> Values:
        """Return values in which only some tokens are left, the others at the baseline: `players bool [N, P]`.

        Elements that belong to no token (special pieces) stay as they are. Raises CallError for a mask of other length:
        a short one would silently leave a modality out.
        """
        wanted = sum(self.counts.values())
        if players.shape[1] != wanted:
            raise CallError(f"the mask has {players.shape[1]} tokens; the record has {wanted} here: {self.counts}")
        parts = players.split(list(self.counts.values()), dim=1)
        return tuple(
            torch.where(own[:, self.cells[m].clamp(min=0)] | (self.cells[m] < 0), value, baseline)
            for m, own, value, baseline in zip(self.modalities, parts, self.values, self.baselines, strict=True)
        )

    def answers(self, players: Tensor, most: int, begun: int = 0, planned: int | None = None) -> Tensor:
        """Return the explained logit `[N]` for subsets of tokens `bool [N, P]`, in batches of at most `most` rows.

        begun, planned: passes before these and in all, for the report.
        """
        found = []
        for rows in players.split(self.batch(most)):
            with torch.no_grad():
                found.append(self.forward(*self.kept(rows)).double())
            begun += len(rows)
            self.report(begun, planned or begun, None)
        return torch.cat(found)

    def gradients(self, values: Values) -> Values:
        """Return the explained logit's gradients at `values [N, ...]`, each row by itself."""
        live = tuple(v.detach().requires_grad_() for v in values)
        with torch.enable_grad():
            return torch.autograd.grad(self.forward(*live).sum(), live)


@dataclass(frozen=True)
class Method:
    """An attribution method and what must be known before it is asked for.

    passes: rows through the model it plans for a problem. only: the modalities it explains, all when empty. seams:
    where it works. sentence: what its scores mean, in a few words.
    """

    run: Callable[[Problem], Scores]
    passes: Callable[[Problem], int]
    sentence: str
    seams: tuple[Seam, ...] = ("fusion", "input")
    only: tuple[str, ...] = ()

    def works(self, problem: Problem) -> bool:
        """Return whether the method can explain this problem."""
        return problem.seam in self.seams and (not self.only or bool(set(problem.modalities) & set(self.only)))


method: Registry[Method] = Registry("attribution method")
