"""Answers of a whole record set as one small table, saved beside the records with what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.answers import Answer
from fusion_core.encoders.source import hash_file
from fusion_core.errors import CallError, FusionError
from fusion_core.types import Failure, Record, Refusal

COLUMNS = ["id", "strategy", "status", "code", "prediction", "confidence", "label", "correct"]
FILE_NAME = "answers.parquet"


def answer_table(answers: Iterable[Answer | Failure]) -> pd.DataFrame:
    """Return one row per answer or error, in order, with the columns of `COLUMNS`; `confidence` is a probability."""
    rows = [
        (a.id, a.strategy, "error", a.code, None, None, None, None)
        if isinstance(a, Failure)
        else (
            a.record.id,
            a.strategy,
            "ok",
            None,
            a.prediction.top,
            a.prediction.confidence,
            a.record.label,
            a.prediction.correct,
        )
        for a in answers
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def save_answers(table: pd.DataFrame, bundle: Path, records: Path) -> None:
    """Save a table beside its records, marked with the hashes of the model and the metadata it was made from."""
    marked = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(marked.replace_schema_metadata(marks(bundle, records)), records / FILE_NAME, compression="zstd")


def load_answers(bundle: Path, records: Path) -> pd.DataFrame | None:
    """Return the saved table; None when there is none, or it was made from another model or other records."""
    path = records / FILE_NAME
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
        found = {k: v for k, v in (table.schema.metadata or {}).items() if k in (b"model", b"records")}
        wanted = {k.encode(): v.encode() for k, v in marks(bundle, records).items()}
    except (pa.ArrowException, OSError, FusionError):
        return None
    return table.to_pandas() if found == wanted else None


def marks(bundle: Path, records: Path) -> dict[str, str]:
    """Return the SHA-256 of a bundle's `model.json` and of a record set's metadata file: what a saved file was made of.

    Raises CallError when the record set has no metadata file, OSError when the bundle has no `model.json`.
    """
    return {"model": hash_file(bundle / "model.json"), "records": mark_metadata(records)}


def mark_metadata(records: Path) -> str:
    """Return the SHA-256 of a record set's metadata file; raises CallError when it has none."""
    metadata = next(iter(sorted(records.glob("metadata.*"))), None)
    if metadata is None:
        raise CallError(f"{records.name} has no metadata file")
    return hash_file(metadata)


def mark_records(rows: Sequence[Record | Refusal]) -> str:
    """Return a hash of all that a model and a log read of the rows, media by their content."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(_told(row), ensure_ascii=True, default=str, sort_keys=True).encode())
    return digest.hexdigest()


def _told(row: Record | Refusal) -> list[object]:
    if isinstance(row, Refusal):
        return [row.id, row.code]
    media = [None if m is None else m.sha256 for m in (row.image, row.audio)]
    return [row.id, row.text, media, row.label, row.timestamp, dict(row.meta), row.flags]
