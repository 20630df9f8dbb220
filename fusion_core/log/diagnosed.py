"""What a diagnosis found in a run, kept beside its parts: a cause for each row, and findings over many.

LOG/runs/<run>/diagnosis/causes.parquet     one row per diagnosed record: CAUSES
LOG/runs/<run>/diagnosis/diagnosis.json     what was diagnosed with what, the findings, and the hash of the causes
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.errors import CallError
from fusion_core.log.durable import replace_file, said_as_call_error
from fusion_core.reading.metadata import parse_object
from fusion_core.reading.texts import quoted
from fusion_core.types import Finding

FORMAT = 1
FOLDER, CAUSES_FILE, SUMMARY = "diagnosis", "causes.parquet", "diagnosis.json"
MOST_BYTES = 20_000_000  # of the summary
NOTHING = "none none"

#: x, y, cluster: where a failure lies on the map of failures; null for other rows, cluster -1 for one that lies alone.
CAUSES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("strategy", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),  # "<modality> <fault>"
        pa.field("score", pa.float32(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),  # "" where no rule passed its limit
        pa.field("said", pa.string(), nullable=False),  # the rule's sentence
        pa.field("x", pa.float32()),
        pa.field("y", pa.float32()),
        pa.field("cluster", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Diagnosed:
    """A diagnosis of a run: the model and reference it was made with, rows it read and those it could not, findings."""

    run: str
    strategy: str
    model_mark: str
    rows: int
    unread: int
    findings: tuple[Finding, ...]
    sha256: str = ""
    format: int = FORMAT


def save_diagnosis(folder: Path, causes: pa.Table, diagnosed: Diagnosed) -> None:
    """Put a diagnosis in the place of the run's last one; `folder` is the run's.

    The summary names the causes it belongs to, and comes last. Raises CallError, `resource_exhausted` on a full disk.
    """
    place = folder / FOLDER
    with said_as_call_error(quoted(FOLDER)):
        place.mkdir(exist_ok=True)
    sink = pa.BufferOutputStream()
    pq.write_table(causes.cast(CAUSES), sink, compression="zstd", write_page_checksum=True)
    data = sink.getvalue().to_pybytes()
    said = asdict(diagnosed) | {"sha256": hashlib.sha256(data).hexdigest()}
    replace_file(place / CAUSES_FILE, data)
    replace_file(place / SUMMARY, (json.dumps(said, allow_nan=False) + "\n").encode())


def load_diagnosis(folder: Path) -> Diagnosed | None:
    """Return the diagnosis of a run whose causes are as they were written, None where there is none.

    Raises CallError for one that is damaged: it is to be made again.
    """
    path = folder / FOLDER / SUMMARY
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        found = _diagnosed(parse_object(path.read_bytes()))
        if hashlib.sha256(causes_path(folder).read_bytes()).hexdigest() != found.sha256:
            raise ValueError("its causes are not those it was written with")
        if not pq.read_schema(causes_path(folder)).equals(CAUSES):
            raise ValueError("its causes have other columns")
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise CallError(f"the diagnosis of run {quoted(folder.name)} is damaged ({error}): diagnose again") from error
    return found


def forget(folder: Path, ids: Collection[str]) -> None:
    """Drop records from the diagnosis of a run, from its findings too; a damaged diagnosis goes as a whole."""
    try:
        found = load_diagnosis(folder)
    except CallError:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        return
    if found is None or not ids:
        return
    causes = pq.read_table(causes_path(folder))
    kept = causes.filter(pc.invert(pc.is_in(causes["id"], pa.array(list(ids), pa.string()))))
    findings = tuple(replace(f, record_ids=tuple(i for i in f.record_ids if i not in ids)) for f in found.findings)
    save_diagnosis(folder, kept, replace(found, rows=kept.num_rows, findings=findings))


def causes_path(folder: Path) -> Path:
    """Return where the causes of a run lie."""
    return folder / FOLDER / CAUSES_FILE


def _diagnosed(entry: Mapping[str, Any]) -> Diagnosed:
    if set(entry) != {f.name for f in fields(Diagnosed)} or entry["format"] != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}")
    return Diagnosed(
        run=str(entry["run"]),
        strategy=str(entry["strategy"]),
        model_mark=str(entry["model_mark"]),
        rows=int(entry["rows"]),
        unread=int(entry["unread"]),
        findings=tuple(_finding(one) for one in _listed(entry["findings"])),
        sha256=str(entry["sha256"]),
    )


def _finding(entry: Mapping[str, Any]) -> Finding:
    known = {f.name for f in fields(Finding)}
    if not isinstance(entry, dict) or set(entry) != known:
        raise ValueError("a finding has other fields")
    words = {name: str(entry[name]) for name in ("rule", "modality", "fault", "message", "advice")}
    since, until = (None if entry[name] is None else str(entry[name]) for name in ("since", "until"))
    return Finding(
        **words,
        since=since,
        until=until,
        severity=float(entry["severity"]),
        record_ids=tuple(str(one) for one in _listed(entry["record_ids"])),
        lift=None if entry["lift"] is None else float(entry["lift"]),
        slice={str(name): str(value) for name, value in dict(entry["slice"]).items()},
        evidence={
            str(name): value if value is None or isinstance(value, str) else float(value)
            for name, value in dict(entry["evidence"]).items()
        },
    )


def _listed(entry: object) -> Sequence[Any]:
    if not isinstance(entry, list):
        raise ValueError("a list is none")
    return entry
