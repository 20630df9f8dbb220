"""Write records as a record set: a folder with `metadata.jsonl`, `images/` and `audio/`, as `read` reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from fusion_core.errors import CallError, RecordError
from fusion_core.reading.media import read_media
from fusion_core.reading.signatures import suffix_of
from fusion_core.reading.texts import quoted
from fusion_core.types import Media, Record, Refusal

FOLDERS = {"image": "images", "audio": "audio"}


def check_new(out: Path) -> None:
    """Raise CallError where a new record set cannot be made: anything is there but an empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CallError(f"--out {quoted(out.name)} is there already; name a folder that is not")


def write_records(rows: Iterable[Record | Refusal], out: Path) -> list[Refusal]:
    """Write the records among the rows and return the refusals, with those of records whose media cannot be read.

    Media are copied under the first 32 digits of their SHA-256, each once. Raises CallError for a folder that cannot
    be written.
    """
    refused: list[Refusal] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
            for row in rows:
                line = row if isinstance(row, Refusal) else _line(row, out)
                if isinstance(line, Refusal):
                    refused.append(line)
                else:
                    lines.write(json.dumps(line, allow_nan=False) + "\n")
    except OSError as error:
        raise CallError(f"--out {quoted(out.name)} cannot be written: {error.strerror}") from error
    return refused


def _line(record: Record, out: Path) -> dict[str, object] | Refusal:
    line: dict[str, object] = {"id": record.id, "text": record.text}
    try:
        for modality, folder in FOLDERS.items():
            media = getattr(record, modality)
            line[f"{modality}_file_name"] = None if media is None else _copied(media, out, folder)
    except RecordError as error:
        return Refusal(record.id, error.code, str(error))
    line |= {"label": record.label, "timestamp": record.timestamp.isoformat() if record.timestamp else None}
    line = {name: value for name, value in line.items() if value is not None}
    return line | {name: _plain(value) for name, value in record.meta.items()}


def _copied(media: Media, out: Path, folder: str) -> str:
    data = read_media(media)
    name = f"{folder}/{media.sha256[:32]}.{suffix_of(data)}"
    (out / folder).mkdir(exist_ok=True)
    if not (out / name).exists():
        (out / name).write_bytes(data)
    return name


def _plain(value: str | float) -> str | float:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
