"""Triage on a log of a million rows, in a real browser: `python -m tests.bench.triage --out FOLDER`.

From a click, as the page hears it, to the end of the run it starts, p50 and p95 of several, every question a new one
(no answer from memory), and the server's memory after the first page and after all of it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from playwright.sync_api import Page, sync_playwright

from fusion_core.log.diagnosed import CAUSES, Diagnosed, save_diagnosis
from fusion_core.log.runs import run_folder
from fusion_core.types import Finding
from tests.bench.log import RUN, made
from tests.browser.serving import ARGUMENTS, CHROMIUM, DASHBOARD, READY, serving
from tests.conftest import SAMPLES

NAMES = ("none none", "image missing", "text out_of_domain", "audio corrupted", "image out_of_domain")
LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "nl", "tr")


def diagnosed(log: Path, rows: int) -> None:
    """Give the log a diagnosis: a cause for every record of one of its four strategies, a finding per language."""
    records, random = rows // 4, np.random.default_rng(5)
    cause = random.choice(len(NAMES), records, p=[0.8, 0.05, 0.05, 0.05, 0.05])
    placed = random.random(records) < 2_000 / records
    where = [pa.array(random.normal(size=records).astype("float32"), mask=~placed) for _ in "xy"]
    columns = [
        pa.array(np.char.add("r", np.arange(records).astype(str))).cast(pa.string()),
        pa.array(["late"] * records),
        pa.array(NAMES).take(pa.array(cause)),
        pa.array(np.full(records, 0.9, "float32")),
        pa.array(["rule"] * records),
        pa.array(["A sentence."] * records),
        *where,
        pa.array(random.integers(0, 5, records).astype("int32"), mask=~placed),
    ]
    findings = tuple(
        Finding("image_missing", "image", "missing", 0.5, f"Image missing where language is {name}.", "Look.", (),
                lift=9.0 - k, slice={"language": name}) for k, name in enumerate(LANGUAGES)
    )  # fmt: skip
    summary = Diagnosed(RUN.name, "late", "", records, 0, findings)
    save_diagnosis(run_folder(log, RUN.name), pa.Table.from_arrays(columns, schema=CAUSES), summary)


#: Notes in the page itself when something was clicked or typed and when runs began and ended.
CLOCK = """() => {
  window.marks = [];
  const mark = what => window.marks.push([performance.now(), what]);
  for (const act of ["click", "keydown"]) document.addEventListener(act, () => mark("act"), true);
  const app = document.querySelector("[data-testid=stApp]");
  const seen = () => mark(app.getAttribute("data-test-script-state"));
  new MutationObserver(seen).observe(app, {attributes: true, attributeFilter: ["data-test-script-state"]});
}"""
ENDED = """() => {
  const begun = window.marks.findIndex(m => m[1] === "running");
  return begun >= 0 && window.marks.slice(begun).some(m => m[1] === "notRunning");
}"""
SPENT = """() => {
  const begun = window.marks.findIndex(m => m[1] === "running");
  const acted = window.marks.slice(0, begun).findLast(m => m[1] === "act");
  return window.marks.findLast(m => m[1] === "notRunning")[0] - acted[0];
}"""


def took(page: Page, act: Callable[[], object]) -> float:
    """Return milliseconds from a click, as the page hears it, to the end of the run it starts."""
    page.evaluate("window.marks = []")
    act()
    page.wait_for_function(ENDED)
    page.wait_for_selector(READY)
    return float(page.evaluate(SPENT))


def actions(page: Page, number: int) -> dict[str, Callable[[], object]]:
    """Return what is done in one round, each time with another value."""
    rows = page.locator(".st-key-filters [data-testid=stButtonGroup] button")
    found = page.locator(".st-key-triage-findings [data-testid=stRadioOption]")
    order = ("oldest", "most confident", "least confident", "newest")[number % 4]

    def sort() -> None:
        page.locator(".st-key-log-bar input").fill(order)
        page.keyboard.press("Enter")

    return {
        "a finding": lambda: found.nth(1 + number).locator("p").first.click(),
        "all rows of it": lambda: rows.nth(2).click(),
        "next page": lambda: page.locator(".st-key-page-on button").first.click(),
        "another order": sort,
        "failures of it": lambda: rows.nth(0).click(),
        "a filter taken back": lambda: page.locator(".st-key-chip-0 button").first.click(),
    }


def memory(port: int) -> float:
    """Return the resident memory, in MB, of the process that serves a port of this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if f"--port={port}".encode() in words:
                return int((folder / "statm").read_text().split()[1]) * 4_096 / 1e6
        except OSError:
            continue
    return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000, help="a multiple of 250,000")
    given = parser.parse_args()
    log = made(given.out / f"rows-{given.rows}", given.rows)
    diagnosed(log, given.rows)
    command = (*DASHBOARD, "--model", str(SAMPLES / "bundles" / "feedback"), "--log", str(log))
    with serving(command) as address, sync_playwright() as playwright:
        port = int(address.rpartition(":")[2])
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS).new_page()
        page.set_default_timeout(60_000)
        started = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(".st-key-triage-shape .stPlotlyChart")
        page.wait_for_selector(READY)
        opened, first = time.perf_counter() - started, memory(port)
        page.evaluate(CLOCK)
        times: dict[str, list[float]] = {}
        for number in range(len(LANGUAGES)):
            for name, act in actions(page, number).items():
                times.setdefault(name, []).append(took(page, act))
        print(f"| Triage, {given.rows:,} rows | p50 / most, ms | n |\n|---|---|---|")
        print(f"| opening, parts checked and libraries loaded | {opened * 1e3:.0f} | 1 |")
        for name, values in times.items():
            print(f"| {name} | {statistics.median(values):.0f} / {max(values):.0f} | {len(values)} |")
        print(f"\nmemory of the server: {first:.0f} MB after the first page, {memory(port):.0f} MB after all")


if __name__ == "__main__":
    main()
