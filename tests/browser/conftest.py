"""A dashboard on a free port of this machine and a real Chromium in front of it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.serving import READY, serving

SHOTS = Path(__file__).with_name("shots")
PATIENCE = 60_000  # milliseconds: the first page loads the model
OPENED = pytest.StashKey[list["Visit"]]()
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def server():
    with serving() as address:
        yield address


class Visit:
    """A browser page whose console is listened to from the first moment."""

    def __init__(
        self, browser: Browser, address: str, width: int = 1440, scheme: str = "light", **options: object
    ) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme, **options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.address = address

    def _hear(self, message: ConsoleMessage) -> None:
        # A page loaded at its own path asks for the server below that path first, and is told that it is not there.
        probed = re.search(r"/\w+/_stcore/(health|host-config)$", message.location.get("url", ""))
        if message.type == "error" and not probed:
            self.complaints.append(message.text)

    def open(self, path: str = "") -> Page:
        """Open a link, or Inspect: the address alone leads to Triage."""
        self.page.goto(self.address + (path or "/?screen=inspect"))
        return self.settle()

    def triage(self, path: str = "/") -> Page:
        """Open Triage and wait until it stands."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector(READY)
        self.page.wait_for_selector(".st-key-triage-shape .stPlotlyChart")
        self.page.wait_for_selector(READY)
        return self.page

    def settle(self) -> Page:
        """Wait until the script is done and the board stands."""
        self.page.wait_for_selector(READY)
        self.page.wait_for_selector('[data-testid="headline"]')
        self.page.wait_for_selector(READY)
        return self.page

    def complete(self) -> Page:
        """Wait until all that comes after the first paint has come."""
        self.page.wait_for_selector(".board[data-complete=true]")
        return self.settle()

    def shot(self, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        size = self.page.viewport_size
        height = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": min(4_000, max(size["height"], height))})
        self.page.wait_for_timeout(250)
        self.page.screenshot(path=SHOTS / f"{name}.png")
        self.page.set_viewport_size(size)

    def text(self, test_id: str) -> str:
        return self.page.inner_text(f'[data-testid="{test_id}"]')


@pytest.fixture
def visit(request, browser, server):
    """Open pages; when the test is over, no console may have complained."""
    opened: list[Visit] = []
    request.node.stash[OPENED] = opened

    def start(**options) -> Visit:
        opened.append(Visit(browser, server, **options))
        return opened[-1]

    yield start
    complaints = [c for v in opened for c in v.complaints]
    for v in opened:
        v.context.close()
    assert complaints == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Say of a failed test what its pages showed."""
    report = yield
    if call.when == "call" and report.outcome in ("failed", "rerun"):
        for place, one in enumerate(item.stash.get(OPENED, [])):
            with suppress(PlaywrightError):  # a page that was closed shows nothing
                seen = one.page.inner_text("body", timeout=2_000)[:4_000]
                report.sections.append((f"page {place + 1}: {one.page.url}", seen))
    return report
