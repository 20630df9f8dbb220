"""The two verbs that fill a log: their flags, and the line each ends with. Torch and Arrow load when they run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fusion_core.errors import CallError


def sweep_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `sweep` to those of every verb that runs a model over records."""
    _log_flags(parser, "default: named after the bundle and the record set")
    parser.add_argument("--strategy", default="", metavar="NAME|all")
    parser.add_argument("--backend", default="serial", choices=("serial", "process"))
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("--chunk", type=int, metavar="ROWS", help="rows that are written, and lost, at once")
    parser.add_argument("--batch", type=int, metavar="ROWS", help="rows that are answered at once")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one per processor)")


def import_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `import`."""
    parser.add_argument("--file", required=True, type=Path, metavar="CSV|JSONL|PARQUET")
    _log_flags(parser, "default: named after the file")
    parser.add_argument("--map", action="append", default=[], metavar="OURS=THEIRS", help="our column is theirs")
    parser.add_argument("--classes", default="", metavar="a,b,c", help="classes in the order of their probabilities")


def _log_flags(parser: argparse.ArgumentParser, words: str) -> None:
    parser.add_argument("--log", required=True, type=Path, metavar="LOG")
    parser.add_argument("--run", dest="run_name", default="", metavar="NAME", help=words)


def sweep_line(given: argparse.Namespace, roots: Any, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a sweep and return its last line."""
    from fusion_core.sweep import BATCH, CHUNK, sweep

    chunk = CHUNK if given.chunk is None else given.chunk
    batch = BATCH if given.batch is None else given.batch
    if min(chunk, batch) < 1 or given.workers < 0:
        raise CallError("--chunk, --batch and --workers are to be positive")
    swept = sweep(
        *(given.model, given.records, given.log, given.run_name, given.strategy),
        backend=given.backend,
        resume=given.resume,
        roots=roots,
        chunk=chunk,
        batch=batch,
        workers=given.workers,
        say=say,
    )
    return {"kind": "sweep", **asdict(swept)}


def import_line(given: argparse.Namespace) -> dict[str, Any]:
    """Import a file of predictions and return the last line."""
    from fusion_core.log.imports import import_log

    mapping: dict[str, str] = {}
    for pair in given.map:
        ours, equals, theirs = pair.partition("=")
        if not ours or not equals or not theirs or ours in mapping:
            raise CallError(f"--map {pair!r} is not OURS=THEIRS, or names a column of ours twice")
        mapping[ours] = theirs
    classes = tuple(part.strip() for part in given.classes.split(",") if part.strip())
    return {"kind": "import", **asdict(import_log(given.file, given.log, given.run_name, mapping, classes))}
