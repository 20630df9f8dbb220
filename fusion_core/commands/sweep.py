"""`sweep`: answer every record into a log, in chunks that survive a crash."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from fusion_core.commands.flags import Verbs, asked_of, emit, log_flags, model_flags, roots, say, verb
from fusion_core.errors import CallError


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    sweep = verb(verbs, "sweep", run_sweep, "answer every record into a log, in chunks that survive a crash")
    model_flags(sweep)
    log_flags(sweep, "default: named after the bundle and the record set")
    sweep.add_argument("--strategy", default="", metavar="NAME|all")
    sweep.add_argument("--backend", default="serial", choices=("serial", "process"))
    sweep.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    sweep.add_argument("--chunk", type=int, metavar="ROWS", help="rows that are written, and lost, at once")
    sweep.add_argument("--batch", type=int, metavar="ROWS", help="rows that are answered at once")
    sweep.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one per processor)")


def run_sweep(given: argparse.Namespace) -> int:
    """Answer every record into a log; the last line says how many ended as what."""
    from fusion_core.sweep import BATCH, CHUNK, sweep

    chunk = CHUNK if given.chunk is None else given.chunk
    batch = BATCH if given.batch is None else given.batch
    if min(chunk, batch) < 1 or given.workers < 0:
        raise CallError("--chunk, --batch and --workers are to be positive")
    swept = sweep(
        *(given.model, given.records, given.log, given.run_name, given.strategy),
        backend=given.backend,
        resume=given.resume,
        roots=roots(given),
        chunk=chunk,
        batch=batch,
        workers=given.workers,
        say=say,
        asked=asked_of(given),
    )
    emit({"kind": "sweep", **asdict(swept)})
    return 3 if swept.error else 0
