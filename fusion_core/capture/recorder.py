"""The recorder of a serving process: a bounded queue, one thread that writes, and not one exception for the request."""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fusion_core.capture.ends import begin_afresh_in_children, close_at_end
from fusion_core.capture.entry import Entry
from fusion_core.capture.sink import Sink, is_passing
from fusion_core.capture.tally import Counts, Tally, lost_entries
from fusion_core.errors import CallError
from fusion_core.log.entries import plain_run_name

Redact = Callable[[Entry], "Entry | None"]


class Recorder:
    """Puts a serving process's answers into a log:

        recorder = Recorder("log/", classes=model.classes, release="2.4.1")
        recorder.record(id=request.id, text=request.text, image=jpeg, prediction=answer, probabilities=shares)
        recorder.close()  # or `with`; at the process's end it is done for you

    run: the run's name (default "served-<release>"; "-2" and so on once entries have columns the run lacks). share: of
    the ids that are recorded, the same ids in every process. redact: called with every entry before it waits or is
    written; what it returns is kept, None or an exception drops it. queue, queue_bytes: most entries and bytes that
    wait, and so the most that a crash loses. every, rows: seconds or entries after which a part is written. lost: what
    recorders of this log that were killed lost. Raises CallError here, and nothing anywhere else.
    """

    def __init__(
        self,
        log: Path | str,
        classes: Sequence[str],
        release: str | None = None,
        run: str = "",
        model: str = "",
        share: float = 1.0,
        redact: Redact | None = None,
        queue: int = 10_000,
        queue_bytes: int = 256_000_000,
        every: float = 10.0,
        rows: int = 5_000,
    ) -> None:
        if not 0.0 <= share <= 1.0 or queue < 1 or rows < 1 or every <= 0 or len(set(classes)) < len(classes):
            raise CallError(
                "a recorder needs different classes, a share from 0 to 1, and a queue, rows and time above 0"
            )
        base = run or plain_run_name(f"served-{release}" if release else "served")
        self.log, self.lost = Path(log), lost_entries(Path(log))
        self._sink = Sink(self.log, base, classes, release, model)
        self._share, self._redact, self._every, self._rows = share, redact, every, rows
        self._most, self._most_bytes = queue, queue_bytes
        self._begin(Tally(self.log, base))
        begin_afresh_in_children(self)

    def _begin(self, tally: Tally) -> None:
        """Start at nothing: when made, and in a forked child, whose thread, locks and queue are its parent's."""
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._waiting: deque[Entry] = deque()
        self._in_hand: list[Entry] = []
        self._bytes, self._closing, self._tally = 0, False, tally
        self._thread: threading.Thread | None = None
        self.last_failure = ""

    @property
    def counts(self) -> Counts:
        """How many entries ended as what."""
        with self._lock:
            return self._tally.counts

    def record(
        self,
        *unexpected: object,
        id: object = None,
        prediction: object = None,
        text: str | None = None,
        image: bytes | None = None,
        audio: bytes | None = None,
        probabilities: Sequence[float] | Mapping[str, float] | None = None,
        confidence: float | None = None,
        label: str | None = None,
        latency_ms: float | None = None,
        timestamp: datetime | float | None = None,
        strategy: str = "served",
        slices: Mapping[str, object] | None = None,
        flags: Sequence[str] = (),
        **unknown: object,
    ) -> None:
        """Take one answer, and return at once whatever happens; what went wrong is in `counts` and `last_failure`.

        probabilities: in the order of the classes, or by class. latency_ms: milliseconds. timestamp: a datetime (naive
        is UTC) or seconds since 1970; now by default. slices: what answers are to be told apart by, texts or numbers.
        """
        try:
            if unexpected or unknown:
                raise TypeError(f"record() knows no {', '.join(unknown) or 'arguments without a name'}")
            if self._share < 1.0 and zlib.crc32(str(id).encode("utf-8", "replace")) >= self._share * 2**32:
                self._count("left_out")
                return
            when = time.time() if timestamp is None else timestamp
            answer = (probabilities, confidence, label, latency_ms)
            self._take(Entry(id, prediction, when, text, image, audio, *answer, strategy, slices or {}, flags))
        except Exception as error:
            self._remember(error)
            self._count("dropped")

    def _take(self, entry: Entry) -> None:
        if self._redact is not None:
            kept = self._redact(entry)
            if kept is None:
                self._count("dropped")
                return
            entry = kept
        entry = entry.own()
        size = entry.bytes
        with self._lock:
            full = len(self._waiting) + len(self._in_hand) >= self._most or self._bytes + size > self._most_bytes
            if not full and not self._closing:
                self._waiting.append(entry)
                self._bytes += size
                self._tally.add("recorded")
            started, due = self._thread is not None, len(self._waiting) >= self._rows
        if full or self._closing:
            self._count("dropped")
        if not started:
            try:
                self._start()
            except RuntimeError as error:  # no thread is to be had now; the next entry asks again, and close writes
                self._remember(error)
        if due or full:
            self._wake.set()

    def _count(self, field: str) -> None:
        with self._lock:
            self._tally.add(field)

    def _remember(self, error: Exception) -> None:
        with suppress(Exception):
            self.last_failure = f"{type(error).__name__}: {error}"[:1_000]

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closing:
                return
            if self._tally.path is None:  # a forked child: its own file, beside its parent's
                with suppress(CallError):
                    self._tally = Tally(self.log, self._sink.base, self._tally.counts)
            thread = threading.Thread(target=self._write_on, name="fusion-lens-recorder", daemon=True)
            thread.start()
            self._thread = thread
        close_at_end(self)

    def _write_on(self) -> None:
        while True:
            self._wake.wait(self._every)
            self._wake.clear()
            last = self._closing
            while self._write_batch(last):
                pass
            if last:
                return

    def _write_batch(self, last: bool) -> bool:
        """Write a part of what waits; False when nothing waits or it cannot be written now."""
        with self._lock:
            while self._waiting and len(self._in_hand) < self._rows:
                self._in_hand.append(self._waiting.popleft())
            batch = self._in_hand
        if not batch:
            return False
        try:
            written = self._sink.write(batch, self._remember)
        except Exception as error:
            self._remember(error)
            passing = is_passing(error)
            if passing and not last:
                return False  # the batch stays in hand: the disk may have room again next time
            written = 0 if passing else sum(self._write_alone(entry) for entry in batch)
        self._settle(batch, written)
        self._sink.tidy(self._remember)
        return True

    def _write_alone(self, entry: Entry) -> int:
        """Write one entry of a batch that could not be written for the sake of one of them; 0 if it was this one."""
        try:
            return self._sink.write([entry], self._remember)
        except Exception as error:
            self._remember(error)
            return 0

    def _settle(self, batch: list[Entry], written: int) -> None:
        with self._lock:
            self._bytes -= sum(entry.bytes for entry in batch)
            self._in_hand = []
            self._tally.add("written", written)
            self._tally.add("failed", len(batch) - written)

    def close(self, timeout: float = 60.0) -> None:
        """Write all that waits, for at most `timeout` seconds, and take no more; a second time it does nothing."""
        try:
            with self._lock:
                first, self._closing = not self._closing, True
            self._wake.set()
            if self._thread is not None:
                self._thread.join(timeout)
            else:
                while self._write_batch(True):
                    pass
            ended = self._thread is None or not self._thread.is_alive()
            if first and ended:
                with self._lock:
                    self._tally.close()
                    self._tally = Tally(None, start=self._tally.counts)
        except Exception as error:
            self._remember(error)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forked(self) -> None:
        """Be a new recorder in a forked child: what waits is written by the parent, whose thread is not here."""
        tally, closed = self._tally, self._closing
        self._begin(Tally(None))
        self._closing = closed
        tally.let_go()
