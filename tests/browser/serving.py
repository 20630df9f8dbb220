"""A dashboard on a free port of this machine, and the Chromium that is put in front of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT

CHROMIUM = os.environ.get("FUSION_LENS_CHROMIUM") or "/usr/bin/chromium"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
READY = "[data-testid=stApp][data-test-script-state=notRunning]"
DASHBOARD = (sys.executable, "-m", "dashboard", "--no-browser")


@contextmanager
def serving(command: Sequence[str] = DASHBOARD, flag: str = "--port={}") -> Iterator[str]:
    """Run a server on a free port until it answers; yield its address, and end it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, flag.format(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
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


def beside_an_empty_fragment() -> tuple[str, ...]:
    """Return the command of the same dashboard with an empty fragment under it, to compare a swap with."""
    from dashboard.__main__ import GUARDS

    flags = [f"--{name}={value}" for name, value in GUARDS.items()]
    app = str(Path(__file__).with_name("guard_app.py"))
    return (
        sys.executable,
        "-m",
        "streamlit",
        "run",
        app,
        "--server.headless=true",
        "--server.address=127.0.0.1",
        *flags,
    )
