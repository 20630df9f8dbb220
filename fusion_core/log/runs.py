"""Runs of a prediction log: made once, at once, and read with a closed schema."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from fusion_core.errors import CallError, FusionError
from fusion_core.log.durable import said_as_call_error, sync_folder
from fusion_core.log.schema import FORMAT, RUN_NAME, SLICE_NAME, SLICE_TYPES, Run
from fusion_core.reading.paths import open_regular
from fusion_core.reading.texts import quoted
from fusion_core.types import MODALITIES

RUN_FILE = "run.json"
MAX_RUN_BYTES = 1_000_000
SOURCES = ("sweep", "recorder", "import")


def run_folder(log: Path, name: str) -> Path:
    """Return where a run of this name lies; CallError for a name that is not plain."""
    if not RUN_NAME.fullmatch(name):
        allowed = "a letter or digit, then at most 63 letters, digits, dots, dashes and underscores"
        raise CallError(f"run name {quoted(name)} is not allowed; allowed are {allowed}")
    return log / "runs" / name


def create_run(log: Path, run: Run) -> Path:
    """Make a run's folder with its run.json, both at once, and return the folder.

    Raises CallError for a run that breaks the schema or whose name is taken, `resource_exhausted` on a full disk.
    """
    folder = run_folder(log, run.name)
    data = run_bytes(run)
    if os.path.lexists(folder):
        raise CallError(f"run {quoted(run.name)} exists already in this log; give another name")
    with said_as_call_error(f"run {quoted(run.name)}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            _fill(temporary, data)
            os.rename(temporary, folder)  # refuses a folder that holds anything
            sync_folder(folder.parent)
        except OSError as error:
            if folder.exists():
                raise CallError(f"run {quoted(run.name)} exists already in this log; give another name") from error
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def run_bytes(run: Run) -> bytes:
    """Return the run.json of a run; CallError for a run that breaks the schema."""
    try:
        data = json.dumps(_entry(run), ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
    except TypeError as error:
        raise CallError(f"{RUN_FILE} of run {quoted(run.name)} cannot be written: {error}") from error
    _run(data, run.name)  # what is written must be what can be read
    return data


def read_run(log: Path, name: str) -> Run:
    """Return what a run says of itself; CallError if it is not there, too large or not of the schema."""
    try:
        with open_regular(run_folder(log, name) / RUN_FILE, RUN_FILE) as file:
            data = file.read(MAX_RUN_BYTES + 1)
    except (OSError, FusionError) as error:
        found = ", ".join(runs(log)[:10]) or "none"
        raise CallError(f"run {quoted(name)} cannot be read: {error}; runs of this log: {found}") from error
    return _run(data, name)


def only_run(log: Path) -> str:
    """Return the name of the one run of a log; CallError where there are none or several to choose from."""
    found = runs(log)
    if len(found) != 1:
        there = f"has the runs {', '.join(found[:10])}; name one with --run" if found else "has no run"
        raise CallError(f"log {quoted(log.name)} {there}")
    return found[0]


def runs(log: Path) -> tuple[str, ...]:
    """Return the names of the runs of a log, sorted; empty for a log that is not there."""
    folder = log / "runs"
    if not folder.is_dir():
        return ()
    found = (p for p in folder.iterdir() if RUN_NAME.fullmatch(p.name) and not p.is_symlink())
    return tuple(sorted(p.name for p in found if (p / RUN_FILE).is_file()))


def _fill(temporary: Path, data: bytes) -> None:
    temporary.mkdir()
    for kind in ("parts", "errors"):
        (temporary / kind).mkdir()
    with (temporary / RUN_FILE).open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(temporary)


def _entry(run: Run) -> dict[str, Any]:
    entry = asdict(run)
    entry["started"] = run.started.isoformat() if run.started else None
    return entry


def _run(data: bytes, name: str) -> Run:
    if len(data) > MAX_RUN_BYTES:
        raise CallError(f"{RUN_FILE} of run {quoted(name)} is larger than {MAX_RUN_BYTES:,} bytes")
    try:
        entry = json.loads(data)
        fault = _fault(entry, name)
        started = None if fault or entry["started"] is None else datetime.fromisoformat(entry["started"])
    except (ValueError, RecursionError) as error:
        raise CallError(f"{RUN_FILE} of run {quoted(name)} cannot be read: {error}") from error
    if fault:
        raise CallError(f"{RUN_FILE} of run {quoted(name)}: {fault}")
    listed = {"classes": tuple(entry["classes"]), "modalities": tuple(entry["modalities"])}
    return Run(**{**entry, **listed, "started": started})


def _fault(entry: Any, name: str) -> str | None:
    names = {f.name for f in fields(Run)}
    if not isinstance(entry, dict) or set(entry) != names:
        return f"its fields are to be exactly {', '.join(sorted(names))}"
    if entry["format"] != FORMAT or type(entry["format"]) is not int:
        return f"its format is {quoted(str(entry['format']))}; this version reads {FORMAT}"
    if entry["name"] != name:
        return f"it names itself {quoted(str(entry['name']))}"
    return next((f"{field} {allowed}" for field, fits, allowed in _RULES if not fits(entry[field])), None)


def _texts(value: Any, most: int = 10_000) -> bool:
    fits = isinstance(value, list) and len(value) <= most and all(_text(v) for v in value)
    return fits and len(set(value)) == len(value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1_000 and not any("\ud800" <= c <= "\udfff" for c in value)


def _pairs(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 1_000 and all(_text(x) for pair in value.items() for x in pair)


def _slices(value: Any) -> bool:
    # Column names differ by more than case, as SQL does not tell "Lang" from "lang".
    return (
        _pairs(value)
        and all(SLICE_NAME.fullmatch(key) and kind in SLICE_TYPES for key, kind in value.items())
        and len({key.lower() for key in value}) == len(value)
    )


_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("classes", _texts, "are to be different texts of at most 1,000 characters, at most 10,000 of them"),
    ("modalities", lambda v: _texts(v) and set(v) <= set(MODALITIES), f"are to be among {', '.join(MODALITIES)}"),
    ("slices", _slices, "are to be plain names (letters, digits, _) that differ by more than case: text or number"),
    ("source", lambda v: v in SOURCES, f"is to be one of {', '.join(SOURCES)}"),
    ("model", _text, "is to be a text of at most 1,000 characters"),
    ("model_mark", _text, "is to be a text of at most 1,000 characters"),
    ("mapping", _pairs, "is to be pairs of texts"),
    ("started", lambda v: v is None or _text(v), "is to be an ISO 8601 time or null"),
)
