"""The README's command on a machine that never ran Streamlit: it serves at once and asks nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request

from tests.conftest import ROOT


def test_the_first_start_on_a_fresh_machine_serves_without_a_question(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MIR_SOCKET")}
    command = [sys.executable, "-m", "dashboard", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**quiet, "HOME": str(tmp_path)}, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    try:
        for _ in range(120):
            try:
                assert urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).status == 200
                break
            except OSError:
                assert process.poll() is None, "the dashboard stopped while starting"
                time.sleep(0.25)
        else:
            raise AssertionError("the dashboard did not answer within 30 s")
    finally:
        process.terminate()
        process.wait(20)
    assert "Email" not in (tmp_path / "log").read_text()
