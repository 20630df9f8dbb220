"""A small HTTP service that is recorded, and what recording costs it: `python -m tests.bench.service [REQUESTS]`.

`python -m tests.bench.service serve LOG [PORT]` serves the sample bundle `feedback` until it is interrupted or told to
end. POST a record as JSON, its image and audio in base64: {"id": "a-17", "text": "it broke", "image": "UklGR..."}.

The bench sends the same records to the service with a recorder and without, turn about in blocks, each block with a
service of its own that is started and stopped cleanly; the ratio is that of the two p50, with the lowest and highest
of any block. The recorder writes a part every second, ten times as often as it does by itself, so that writing falls
into the time that is measured.
"""

from __future__ import annotations

import http.client
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from fusion_core.answers import answer_rows
from fusion_core.bundle import load
from fusion_core.capture import Recorder
from fusion_core.errors import CallError, RecordError
from fusion_core.log import queries
from fusion_core.log.store import Store
from fusion_core.model import FusedModel
from fusion_core.reading.cells import identity, words
from fusion_core.reading.media import media_from_bytes
from fusion_core.reading.metadata import MAX_LINE_BYTES, parse_object
from fusion_core.reading.records import read
from fusion_core.types import Failure, Record, Refusal

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
BUNDLE, RECORDS = SAMPLES / "bundles" / "feedback", SAMPLES / "feedback" / "test"
BLOCKS = 6
WARM_UP = 10


class Service(ThreadingHTTPServer):
    """A model behind HTTP that keeps what it answered in a log."""

    daemon_threads = False  # a stop waits for the requests under way

    def __init__(self, model: FusedModel, log: Path | None, port: int = 0, **settings: Any) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model, self.recorder = model, None
        try:
            self.recorder = Recorder(log, model.classes, "1.0", model=model.name, **settings) if log else None
        except CallError as error:  # a log that cannot be written costs the log, not the answers
            print(f"answers are not recorded: {error}", file=sys.stderr)

    def server_close(self) -> None:
        """Wait for the requests under way, then for what is recorded to be written."""
        super().server_close()
        if self.recorder:
            self.recorder.close()


class Handler(BaseHTTPRequestHandler):
    """Answers one request: a record as JSON, its image and audio in base64."""

    server: Service
    timeout = 10  # seconds that a client may stay silent
    wbufsize = -1  # one packet per answer

    def do_POST(self) -> None:
        """Answer a record and record the answer, or refuse it and say why."""
        started, model = time.perf_counter(), self.server.model
        answer = next(answer_rows(model, [self.record()], [model.default_strategy]))
        if isinstance(answer, Failure):
            self.reply(400, {"code": answer.code, "message": answer.message})
            return
        given, said = answer.record, answer.prediction
        if self.server.recorder:
            self.server.recorder.record(
                id=given.id, text=given.text,
                image=given.image and given.image.data, audio=given.audio and given.audio.data,
                prediction=said.top, probabilities=said.probabilities, strategy=answer.strategy, flags=answer.flags,
                latency_ms=1000 * (time.perf_counter() - started),
            )  # fmt: skip
        self.reply(200, {"id": given.id, "prediction": said.top, "confidence": said.confidence})

    def record(self) -> Record | Refusal:
        """Read the record of the request, or why there is none."""
        try:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MAX_LINE_BYTES:
                raise ValueError(f"is to have a Content-Length of at most {MAX_LINE_BYTES:,} bytes")
            given = parse_object(self.rfile.read(int(length)))
            files = {m: given[m] for m in ("image", "audio") if given.get(m) is not None}
            media = {m: media_from_bytes(b64decode(str(file), validate=True), m) for m, file in files.items()}
            return Record(identity(given.get("id")) or uuid4().hex, words(given.get("text"), "text"), **media)
        except RecordError as error:
            return Refusal("", error.code, str(error))
        except (ValueError, RecursionError) as error:
            return Refusal("", "metadata_damaged", f"the body {error or 'is nested too deeply'}")

    def reply(self, status: int, said: Mapping[str, object]) -> None:
        """Send one JSON object."""
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(model: FusedModel, log: Path | None, port: int = 0, **settings: Any) -> Iterator[Service]:
    """Serve in a thread until the block ends, then stop cleanly; settings are the recorder's."""
    service = Service(model, log, port, **settings)
    thread = threading.Thread(target=service.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()
        thread.join()


def body_of(record: Record, modalities: Sequence[str] = ("text", "image", "audio")) -> bytes:
    """Return a record as the service takes it."""
    files = {m: getattr(record, m) for m in ("image", "audio") if m in modalities}
    media = {m: b64encode(file.path.read_bytes()).decode() for m, file in files.items() if file is not None}
    return json.dumps({"id": record.id, "text": record.text, **media}).encode()


def post(port: int, body: bytes) -> tuple[int, dict[str, Any]]:
    """Send one request and return its status and its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/", body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def milliseconds(port: int, bodies: Sequence[bytes]) -> list[float]:
    """Return how long each request took, from the first byte sent to the last received."""
    times = []
    for body in bodies:
        started = time.perf_counter()
        status, said = post(port, body)
        times.append(1000 * (time.perf_counter() - started))
        if status != 200:
            raise SystemExit(f"a request was refused: {said}")
    return times


def measure(model: FusedModel, bodies: Sequence[bytes], log: Path) -> list[tuple[list[float], list[float]]]:
    """Return each block's milliseconds without and with a recorder, each side first in turn."""
    found = []
    for block in range(BLOCKS):
        times: tuple[list[float], list[float]] = ([], [])
        for recorded in (False, True) if block % 2 == 0 else (True, False):
            with serving(model, None) as service:
                milliseconds(service.server_port, bodies[:WARM_UP])
            with serving(model, log if recorded else None, every=1.0) as service:
                times[recorded].extend(milliseconds(service.server_port, bodies[block::BLOCKS]))
        found.append(times)
    return found


def row(model: FusedModel, what: str, bodies: Sequence[bytes]) -> str:
    """Measure one kind of request and return its line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder)
        blocks = measure(model, bodies, log)
        with Store(log) as store:
            lost = len(bodies) - queries.count(store)
        kept = [sum(f.stat().st_size for f in (log / part).rglob("*") if f.is_file()) for part in ("runs", "media")]
    plain, recorded = ([ms for block in blocks for ms in block[side]] for side in (0, 1))
    cells = [f"{at(plain, p):.2f} / {at(recorded, p):.2f} ms" for p in (50, 95)]
    rows, media = (f"{size / len(bodies):,.0f}" for size in kept)
    ratios = sorted(statistics.median(two) / statistics.median(one) for one, two in blocks)
    ratio = f"{at(recorded, 50) / at(plain, 50):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})"
    return f"| {what} | {len(bodies)} | {cells[0]} | {ratio} | {cells[1]} | {lost} | {rows} + {media} |"


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


def at(times: Sequence[float], percent: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(times, n=100)[percent - 1]


def bench(count: int) -> None:
    """Print Markdown rows."""
    model, records = load(BUNDLE), read(RECORDS).records[:count]
    print("| request | n | p50 without / with | ratio (blocks) | p95 without / with | lost | bytes each: row + media |")
    print("|---|---|---|---|---|---|---|")
    print(row(model, "text, image, audio", [body_of(record) for record in records]), flush=True)
    # Texts are answered so fast that a block of as many would end before the first part is written.
    print(row(model, "text", [body_of(record, ("text",)) for record in records] * 5), flush=True)
    with tempfile.TemporaryDirectory() as log:
        times = record_microseconds(Path(log), model.classes)
    print(f"\nrecord(): p50 {at(times, 50):.1f} us, p99 {at(times, 99):.1f} us, mean {statistics.mean(times):.1f} us")


def serve(log: Path, port: int) -> None:
    """Serve until interrupted or told to end (SIGTERM, which would otherwise end Python without its exit handlers)."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), serving(load(BUNDLE), log, port) as service:
        print(f"http://127.0.0.1:{service.server_port}", flush=True)
        threading.Event().wait()


def main(arguments: Sequence[str]) -> None:
    """Serve or measure."""
    if arguments[:1] == ["serve"]:
        serve(Path(arguments[1]), int(arguments[2]) if len(arguments) > 2 else 0)
    else:
        bench(int(arguments[0]) if arguments else 300)


if __name__ == "__main__":
    main(sys.argv[1:])
