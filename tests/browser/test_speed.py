"""The guard on speed, as a ratio on one server: a swap's fragment costs at most three empty ones."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.browser.serving import beside_an_empty_fragment, serving

SWAP = Path(__file__).with_name("swap.js")
SWAPS = [f'[data-strategy="{name}"]' for name in ("concat", "early", "cross_attention", "late")]


SERVERS = 3  # what an empty fragment takes differs from one start of a server to the next, by up to a half

#: Below this an empty fragment is within the browser's own clockwork, and three of them are no bound: 45 ms are well
#: under the 60 that a swap may take.
LEAST = 15.0


@pytest.mark.timed
def test_a_swap_of_strategy_costs_the_server_at_most_three_empty_fragments(browser):
    found = [measured(browser) for _ in range(SERVERS)]
    ratio = statistics.median(swap / max(LEAST, cheapest) for cheapest, swap, _ in found)
    assert ratio <= 3, f"empty fragment, swap and paint in ms, per server: {found}"
    assert statistics.median(paint for _, _, paint in found) < 150


def measured(browser):
    """What an empty fragment and a swap take on one server, and a swap until it is painted: medians in ms."""
    with serving(beside_an_empty_fragment(), "--server.port={}") as address:
        here = Visit(browser, address)
        here.page.add_init_script(path=SWAP)
        here.open()
        here.complete()
        empty, swaps = [], []
        for _ in range(3):  # turn about, so that both see the same machine
            empty += here.page.evaluate("drive(['.st-key-empty button'], 6, 50)")
            swaps += here.page.evaluate("selectors => drive(selectors, 6, 50)", SWAPS)
        here.context.close()
    assert here.complaints == []
    cheapest = statistics.median(run["server"] for run in empty)
    return cheapest, statistics.median(run["server"] for run in swaps), statistics.median(run["paint"] for run in swaps)
