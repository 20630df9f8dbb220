"""Speed as a user meets it, in a real Chromium on this machine: `python -m tests.bench.browser`.

A swap of strategy from click to paint and on the server alone, with one session and with five that swap all the time;
an empty fragment on the same server beside it; hovering; and the first useful paint with a warm model.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.serving import ARGUMENTS, CHROMIUM, READY, beside_an_empty_fragment, serving

SWAP = Path(__file__).resolve().parents[1] / "browser" / "swap.js"
SWAPS = [f'[data-strategy="{name}"]' for name in ("concat", "early", "cross_attention", "late")]
TOKENS = [f'[data-token="text:{place}"]' for place in range(5)]
EMPTY = [".st-key-empty button"]
TIMES, PAUSE = 40, 400


def opened(browser: Browser, address: str) -> tuple[Page, float]:
    """Open the dashboard in a browser of its own; return the page, and seconds until the verdict could be read."""
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(120_000)
    page.add_init_script(path=SWAP)
    started = time.perf_counter()
    page.goto(f"{address}/?screen=inspect&strategy=late")
    page.wait_for_selector('[data-testid="headline"]')
    seconds = time.perf_counter() - started
    page.wait_for_selector(".board[data-complete=true]")
    page.wait_for_selector(READY)
    return page, seconds


def percentiles(values: Sequence[float]) -> str:
    """Return p50 and p95."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f} / {ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]:.0f} ms"


def row(what: str, values: Sequence[float]) -> None:
    """Print one row of the table."""
    print(f"| {what} | {percentiles(values)} | {len(values)} |", flush=True)


def together(pages: Sequence[Page], selectors: Sequence[str]) -> list[dict[str, float]]:
    """Let all pages click at once, each at its own pace."""
    for page in pages:
        page.evaluate("given => void (window.run = drive(...given))", [list(selectors), TIMES, PAUSE])
    return [run for page in pages for run in page.evaluate("window.run")]


def main() -> None:
    """Print one Markdown row per measurement: p50 / p95 and how many were taken."""
    print("| what | p50 / p95 | n |\n|---|---|---|")
    with serving(beside_an_empty_fragment(), "--server.port={}") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        pages = [opened(browser, address)[0]]
        seconds = []
        for _ in range(7):
            page, took = opened(browser, address)
            seconds.append(1000 * took)
            page.context.close()
        row("first useful paint, server up and model warm", seconds)
        swaps = together(pages, SWAPS)
        row("swap of strategy, click to painted (overlay, verdict and bars)", [s["paint"] for s in swaps])
        row("hover of a word, to painted", pages[0].evaluate("given => hovering(...given)", [TOKENS, 60]))
        row("swap of strategy, server only, one session", [s["server"] for s in swaps])
        row("empty fragment, server only, one session", [s["server"] for s in together(pages, EMPTY)])
        pages += [opened(browser, address)[0] for _ in range(4)]
        swaps = together(pages, SWAPS)
        row("swap of strategy, click to painted, five sessions", [s["paint"] for s in swaps])
        row("swap of strategy, server only, five sessions", [s["server"] for s in swaps])
        row("empty fragment, server only, five sessions", [s["server"] for s in together(pages, EMPTY)])
        browser.close()


if __name__ == "__main__":
    main()
