"""Cooperative games with few players: exact Shapley values and interactions from a table of coalition values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from math import factorial

import numpy as np

Coalition = frozenset[str]
Game = Mapping[Coalition, np.ndarray]


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """Return all subsets of the players, smallest first."""
    sizes = range(len(players) + 1)
    return [frozenset(s) for s in chain.from_iterable(combinations(players, size) for size in sizes)]


def shapley_values(game: Game, players: Sequence[str]) -> dict[str, np.ndarray]:
    """Return `phi_m = sum_S |S|! (M-|S|-1)! / M! [v(S+m) - v(S)]` over S without m (Shapley 1953)."""
    count = len(players)
    phi = {}
    for player in players:
        others = [p for p in players if p != player]
        phi[player] = sum(
            factorial(len(s)) * factorial(count - len(s) - 1) / factorial(count) * (game[s | {player}] - game[s])
            for s in coalitions(others)
        )
    return {player: np.asarray(value) for player, value in phi.items()}


def interaction_values(game: Game, players: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return the Shapley interaction index of every pair (Grabisch & Roubens 1999)."""
    count = len(players)
    found = {}
    for i, j in combinations(players, 2):
        others = [p for p in players if p not in (i, j)]
        found[i, j] = np.asarray(
            sum(
                factorial(len(s))
                * factorial(count - len(s) - 2)
                / factorial(count - 1)
                * (game[s | {i, j}] - game[s | {i}] - game[s | {j}] + game[s])
                for s in coalitions(others)
            )
        )
    return found


def moebius(game: Game, players: Sequence[str]) -> np.ndarray:
    """Return the term only all players together bring: `sum_S (-1)^(M-|S|) v(S)`."""
    count = len(players)
    return np.asarray(sum((-1) ** (count - len(s)) * game[s] for s in coalitions(players)))
