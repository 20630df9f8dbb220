"""`import`: bring predictions that others logged into a log."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fusion_core.commands.flags import Verbs, emit, log_flags, verb
from fusion_core.errors import CallError


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    importing = verb(verbs, "import", run_import, "bring predictions that others logged into a log")
    importing.add_argument("--file", required=True, type=Path, metavar="CSV|JSONL|PARQUET")
    log_flags(importing, "default: named after the file")
    importing.add_argument("--map", nargs="+", action="extend", default=[], metavar="OURS=THEIRS",
                           help="our column is theirs; as many pairs as there are columns")  # fmt: skip
    importing.add_argument("--classes", default="", metavar="a,b,c", help="classes in the order of their probabilities")


def run_import(given: argparse.Namespace) -> int:
    """Bring a file of predictions into a log; the last line says how many rows ended as what."""
    from fusion_core.log.imports import import_log

    classes = tuple(part.strip() for part in given.classes.split(",") if part.strip())
    imported = import_log(given.file, given.log, given.run_name, _mapping(given.map), classes)
    emit({"kind": "import", **asdict(imported)})
    return 3 if imported.error else 0


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not ours or not equals or not theirs or ours in mapping:
            raise CallError(f"--map {pair!r} is not OURS=THEIRS, or names a column of ours twice")
        mapping[ours] = theirs
    return mapping
