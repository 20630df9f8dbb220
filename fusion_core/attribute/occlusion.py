"""Occlusion (Zeiler & Fergus 2014): slide a window over the tokens and see what the answer loses behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion_core.attribute.problem import Method, Problem, Scores, method

BATCH = 16
LINE = 2  # words or frames a window covers
SIDE = 2  # cells a window covers on each side at the fusion seam


def occlusion(problem: Problem) -> Scores:
    """Score every token by the mean drop of the explained logit over the windows that cover it.

    A window covers 2 neighbouring words or frames. On a grid it covers 2 x 2 cells at the fusion seam, where a cell's
    neighbours tell of it too, and one cell at the input seam: 49 passes for 7 x 7.
    """
    windows = _windows(problem)
    everything = torch.ones(1, windows.shape[1], dtype=torch.bool)
    found = problem.answers(torch.cat([everything, ~windows]), BATCH, planned=len(windows) + 1)
    covered = windows.double()
    drops = covered.T @ (found[0] - found[1:]) / covered.sum(dim=0)
    return Scores(problem.cut(drops), None, None, len(windows) + 1)


def _windows(problem: Problem) -> Tensor:
    """Return the windows over all tokens, `bool [W, P]`; no window covers two modalities."""
    blocks = [_over_one(count, problem.grids[m], problem.seam) for m, count in problem.counts.items()]
    return torch.block_diag(*(block.float() for block in blocks)) > 0


def _over_one(count: int, grid: tuple[int, int] | None, seam: str) -> Tensor:
    if grid is None:
        return _line(count, LINE)
    side = SIDE if seam == "fusion" else 1
    rows, columns = _line(grid[0], side), _line(grid[1], side)
    return (rows[:, None, :, None] & columns[None, :, None, :]).reshape(len(rows) * len(columns), count)


def _line(count: int, length: int) -> Tensor:
    """Return the windows of a line of tokens, `bool [W, T]`; cut at its ends, so that all tokens count alike."""
    starts = torch.arange(1 - length, count)[:, None]
    places = torch.arange(count)[None]
    return (places >= starts) & (places < starts + length)


method("occlusion")(
    Method(
        occlusion,
        lambda problem: len(_windows(problem)) + 1,
        "what the answer loses behind a sliding window",
    )
)
