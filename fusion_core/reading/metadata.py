"""Read the rows of a table from a stranger; a row that cannot be read stays a row, with its fault."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn

from fusion_core.errors import CallError
from fusion_core.reading.signatures import kind_of
from fusion_core.reading.texts import quoted

MAX_TABLE_BYTES = 200_000_000
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_COLUMN_NAME = 200
MAX_DEPTH = 20
MAX_LINE_BYTES = 8_000_000  # a text of 1 MB, every character of it escaped
MAX_CELL_CHARACTERS = 4_000_000

WORDS = frozenset({"text", "id", "label", "timestamp"})
MEDIA_COLUMNS = ("image", "image_file_name", "audio", "audio_file_name", "file_name")
NAMED = WORDS | frozenset(MEDIA_COLUMNS)
CONTENT = frozenset({"text", *MEDIA_COLUMNS})

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARACTERS))


@dataclass(frozen=True)
class Row:
    """One row of a table, `number` from 1; `fault` says why its cells could not be read."""

    number: int
    where: str
    cells: Mapping[str, object] = field(default_factory=dict)
    fault: str | None = None
    flags: tuple[str, ...] = ()


def read_rows(
    file: BinaryIO, name: str, named: frozenset[str] = NAMED, needed: frozenset[str] = CONTENT
) -> Iterator[Row]:
    """Yield every row of a table, its format taken from the suffix of `name` and checked against its first bytes.

    named: CSV columns that stay as they are written, were they numbers. needed: a CSV or Parquet table must have one of
    these columns; empty for any table.
    Raises CallError `metadata_damaged`, `file_too_large` or `call_refused` when the table as a whole cannot be read.
    """
    suffix = name.rpartition(".")[2].lower()
    start = file.read(12)
    file.seek(0)
    kind = kind_of(start)
    if suffix == "parquet":
        from fusion_core.reading.columnar import read_parquet  # pyarrow is large; most record sets need none

        rows = read_parquet(file, name, needed)
    elif kind in ("zip archive", "pickle", "Parquet"):
        raise damaged(f"{quoted(name)} is {kind} by its first bytes, not the {suffix.upper()} its name says")
    else:
        data = _read(file, name)
        rows = _csv_rows(data, name, named, needed) if suffix == "csv" else _jsonl_rows(data, name)
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            raise CallError(f"{quoted(name)} has more than {MAX_ROWS:,} rows; split it")
        yield row


def damaged(message: str) -> CallError:
    """Return the error of a table that cannot be read as a whole."""
    return CallError(message, "metadata_damaged")


def check_columns(columns: list[str], name: str, needed: frozenset[str] = CONTENT) -> None:
    """Refuse a table whose columns are too many, named twice, or none of those needed."""
    if len(columns) > MAX_COLUMNS:
        raise damaged(f"{quoted(name)} has {len(columns):,} columns; at most {MAX_COLUMNS:,} are read")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise damaged(f"{quoted(name)} has two columns {quoted(twice)}")
    if needed and not needed & set(columns):
        given = ", ".join(quoted(column, 30) for column in columns[:8]) or "none"
        raise damaged(f"{quoted(name)} has columns {given}; one of text, {', '.join(MEDIA_COLUMNS)} is needed")


def _read(file: BinaryIO, name: str) -> bytes:
    data = file.read(MAX_TABLE_BYTES + 1)
    if len(data) > MAX_TABLE_BYTES:
        raise CallError(f"{quoted(name)} is larger than {MAX_TABLE_BYTES:,} bytes; split it", "file_too_large")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise damaged(f"{quoted(name)} is UTF-16; save it as UTF-8")
    return data.removeprefix(b"\xef\xbb\xbf")


def _csv_rows(data: bytes, name: str, named: frozenset[str], needed: frozenset[str]) -> Iterator[Row]:
    text, intact = _decoded(data)
    lines = _csv_lines(text, name)
    _, header, fault = next(lines, (0, [], None))
    if fault:
        raise damaged(f"{quoted(name)}: the header {fault}")
    columns = [column or f"column_{place}" for place, column in enumerate(header, 1)]
    check_columns(columns, name, needed)
    rows = [(where, cells, fault or _ragged(cells, columns)) for where, cells, fault in lines]
    whole = [cells for _, cells, fault in rows if not fault]
    kinds = ["word" if c in named else _column_kind([cells[i] for cells in whole]) for i, c in enumerate(columns)]
    for number, (line, cells, fault) in enumerate(rows, 1):
        where = f"line {line} of {quoted(name)}"
        if fault:
            yield Row(number, where, fault=fault)
            continue
        values = {c: _csv_value(v, kind) for c, v, kind in zip(columns, cells, kinds, strict=True)}
        replaced = not intact and any("\ufffd" in cell for cell in cells)
        yield Row(number, where, values, flags=("undecodable bytes replaced",) if replaced else ())


def _decoded(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode("utf-8"), True
    except UnicodeDecodeError:
        return data.decode("utf-8", errors="replace"), False


def _csv_lines(text: str, name: str) -> Iterator[tuple[int, list[str], str | None]]:
    """Yield `(first line, cells, fault)` of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for _ in range(MAX_ROWS + 2):
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, [], f"is not valid CSV: {error}"
            continue
        if cells:
            yield line, cells, None
    raise CallError(f"{quoted(name)} has more than {MAX_ROWS:,} rows; split it")


def _ragged(cells: list[str], columns: list[str]) -> str | None:
    return None if len(cells) == len(columns) else f"has {len(cells)} cell(s); the header has {len(columns)}"


def _column_kind(cells: list[str]) -> str:
    """Say what a CSV column holds: numbers only if every cell is plainly one (`007` is a name), else words."""
    filled = {cell for cell in cells if cell}
    if filled and all(map(_is_number, filled)):
        return "number"
    return "truth" if filled and {cell.lower() for cell in filled} <= {"true", "false"} else "word"


def _is_number(cell: str) -> bool:
    found = _NUMBER.fullmatch(cell)
    if not found:
        return False
    if found[2] or found[3]:
        return math.isfinite(float(cell))
    return len(cell) <= 17 and abs(int(cell)) <= 2**53


def _csv_value(cell: str, kind: str) -> object:
    if cell == "":
        return None
    if kind == "number":
        return float(cell)
    return cell.lower() if kind == "truth" else cell


def _jsonl_rows(data: bytes, name: str) -> Iterator[Row]:
    number = 0
    for line, raw in enumerate(io.BytesIO(data), 1):
        if not raw.strip():
            continue
        number += 1
        where = f"line {line} of {quoted(name)}"
        try:
            yield Row(number, where, parse_object(raw))
        except (ValueError, RecursionError) as error:
            yield Row(number, where, fault=_json_fault(error))


def parse_object(raw: bytes) -> dict[str, object]:
    """Parse one strict JSON object: no NaN or infinity, no key twice, at most 20 levels; ValueError otherwise."""
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"has {len(raw):,} bytes; at most {MAX_LINE_BYTES:,} are read")
    text = raw.decode("utf-8")
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    if len(value) > MAX_COLUMNS or any(len(key) > MAX_COLUMN_NAME for key in value):
        raise ValueError(f"has more than {MAX_COLUMNS:,} columns, or a column name over {MAX_COLUMN_NAME} characters")
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"has the key {quoted(key, 40)} twice")
        found[key] = value
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"holds {word}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"holds the number {quoted(digits, 40)}, which is beyond what a number can be")
    return number


def _check_depth(value: object) -> None:
    level, depth = [value], 0
    while level := [item for parent in level if isinstance(parent, (dict, list)) for item in _items(parent)]:
        depth += 1
        if depth >= MAX_DEPTH and any(isinstance(item, (dict, list)) for item in level):
            raise RecursionError


def _items(parent: dict[str, object] | list[object]) -> list[object]:
    return list(parent.values()) if isinstance(parent, dict) else parent


def _json_fault(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"is nested deeper than {MAX_DEPTH} levels"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 at byte {error.start + 1}"
    if isinstance(error, json.JSONDecodeError):
        return f"is not valid JSON at character {error.pos + 1}: {error.msg}"
    text = str(error)
    return text if text.startswith(("has ", "is ", "holds ")) else "holds a number that is too long"
