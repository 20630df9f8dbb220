"""A dashboard on a free port of this machine and a real Chromium in front of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import ROOT

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SHOTS = Path(__file__).with_name("shots")
READY = "[data-testid=stApp][data-test-script-state=notRunning]"
PATIENCE = 90_000  # milliseconds: the first page loads the model


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser():
    path = os.environ.get("FUSION_LENS_CHROMIUM") or "/usr/bin/chromium"
    if not Path(path).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is not installed: the browser tests cannot run")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dashboard", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                assert process.poll() is None, "the dashboard stopped while starting"
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(20)


class Visit:
    """A browser page whose console is listened to from the first moment."""

    def __init__(self, browser: Browser, address: str, width: int = 1440, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.address = address

    def open(self, path: str = "") -> Page:
        self.page.goto(self.address + path)
        return self.settle()

    def settle(self) -> Page:
        """Wait until the script is done and the board stands."""
        self.page.wait_for_selector(READY)
        self.page.wait_for_selector('[data-testid="headline"]')
        self.page.wait_for_selector(READY)
        return self.page

    def shot(self, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def text(self, test_id: str) -> str:
        return self.page.inner_text(f'[data-testid="{test_id}"]')


@pytest.fixture
def visit(browser, server):
    """Open pages; when the test is over, no console may have complained."""
    opened: list[Visit] = []

    def start(**options) -> Visit:
        opened.append(Visit(browser, server, **options))
        return opened[-1]

    yield start
    complaints = [c for v in opened for c in v.complaints]
    for v in opened:
        v.context.close()
    assert complaints == []
