"""What a recorder costs a serving process: `python -m tests.bench.recorder [REQUESTS]`.

A service of Python's own http.server answers texts with the sample bundle `feedback`, in this process. Requests with
and without recording alternate on one connection, so that everything else on the machine meets both. The recorder
writes a part every second, each entry with the request's text, probabilities and slices, and its own 20 kB of "image"
where it says so. `record()` is also timed by itself, entries going to a log all the while.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch

from fusion_core.bundle import load
from fusion_core.capture import Recorder
from fusion_core.model import FusedModel
from fusion_core.reading.records import read
from fusion_core.types import Record

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
IMAGE_BYTES = 20_000


class Service(ThreadingHTTPServer):
    """A model behind HTTP: POST a text to /plain or /recorded, get its class."""

    daemon_threads = True
    model: FusedModel
    recorder: Recorder
    image: bool


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    # One packet per answer, sent at once: otherwise the client's delayed acknowledgement adds 40 ms to every request.
    wbufsize, disable_nagle_algorithm = -1, True
    server: Service

    def do_POST(self) -> None:
        """Answer the text, and record the answer if the path asks for it."""
        started = time.perf_counter()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        size = IMAGE_BYTES if self.server.image else 0
        image, text = body[:size], body[size:].decode()
        model = self.server.model
        _, tokens = model.encode_record(Record("r", text))
        with torch.no_grad():
            shares = model.fuse(tokens, model.default_strategy)[0].softmax(0).tolist()
        said = model.classes[shares.index(max(shares))]
        if self.path == "/recorded":
            self.server.recorder.record(
                id=self.headers["X-Id"],
                text=text,
                image=image or None,
                prediction=said,
                probabilities=shares,
                latency_ms=1000 * (time.perf_counter() - started),
                slices={"lang": "en", "length": len(text)},
            )
        answer = json.dumps({"class": said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def latencies(service: Service, texts: list[str], count: int) -> tuple[list[float], list[float]]:
    """Return milliseconds of plain and of recorded requests, as the client sees them."""
    connection = http.client.HTTPConnection("127.0.0.1", service.server_port)
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * count + 20):
        # Plain and recorded change places in every pair, so that neither is always the one after the other.
        recorded = (number + number // 2) % 2
        body = (os.urandom(IMAGE_BYTES) if service.image else b"") + texts[number // 2 % len(texts)].encode()
        started = time.perf_counter()
        connection.request("POST", "/recorded" if recorded else "/plain", body, {"X-Id": str(number)})
        connection.getresponse().read()
        if number >= 20:
            found[recorded].append(1000 * (time.perf_counter() - started))
    connection.close()
    return found


def record_microseconds(log: Path, classes: tuple[str, ...], count: int = 20_000) -> list[float]:
    """Return the microseconds of single calls of `record()`, a part being written every second."""
    times = []
    with Recorder(log, classes, queue=count, every=1.0) as recorder:
        for number in range(count):
            started = time.perf_counter()
            recorder.record(id=number, prediction=classes[0], text="a text", slices={"lang": "en", "length": 6})
            times.append(1e6 * (time.perf_counter() - started))
            if number % 100 == 0:
                time.sleep(0.01)  # a service waits for requests; a loop that never does shares no time with the writer
    assert recorder.counts.written == count, recorder.last_failure
    return times


def at(times: list[float], percent: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(times, n=100)[percent - 1]


def main() -> None:
    """Print Markdown rows."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    model = load(SAMPLES / "bundles" / "feedback")
    texts = [r.text for r in read(SAMPLES / "feedback" / "test").records if r.text]
    print("| requests | p50, ms: plain, recorded, ratio | p99, ms: plain, recorded, ratio |\n|---|---|---|")
    for image in (False, True):
        with tempfile.TemporaryDirectory() as log, Recorder(log, model.classes, every=1.0) as recorder:
            service = Service(("127.0.0.1", 0), Handler)
            service.model, service.recorder, service.image = model, recorder, image
            threading.Thread(target=service.serve_forever, daemon=True).start()
            plain, recorded = latencies(service, texts, count)
            service.shutdown()
            recorder.close()
            assert recorder.counts.dropped == recorder.counts.failed == 0, recorder.last_failure
            cells = [(at(plain, p), at(recorded, p)) for p in (50, 99)]
            said = " | ".join(f"{one:.2f}, {two:.2f}, {two / one:.3f}" for one, two in cells)
            what = f"with {IMAGE_BYTES:,} bytes of image" if image else "texts"
            print(f"| {count} of each, {what} | {said} |", flush=True)
    with tempfile.TemporaryDirectory() as log:
        times = record_microseconds(Path(log), model.classes)
    print(f"\nrecord(): p50 {at(times, 50):.1f} us, p99 {at(times, 99):.1f} us, mean {statistics.mean(times):.1f} us")


if __name__ == "__main__":
    main()
