"""The guard on speed, as a ratio on one server: a swap's fragment costs at most three empty ones."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.browser.serving import beside_an_empty_fragment, serving

SWAP = Path(__file__).with_name("swap.js")
SWAPS = [f'[data-strategy="{name}"]' for name in ("concat", "early", "cross_attention", "late")]


@pytest.mark.timed
def test_a_swap_of_strategy_costs_the_server_at_most_three_empty_fragments(browser):
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
    cheapest = statistics.median(run["server"] for run in empty)
    swap = statistics.median(run["server"] for run in swaps)
    assert swap <= 3 * cheapest, f"a swap takes {swap:.0f} ms, an empty fragment {cheapest:.0f} ms"
    assert statistics.median(run["paint"] for run in swaps) < 150
    assert here.complaints == []
