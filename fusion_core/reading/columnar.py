"""Read the rows of a Parquet table from a stranger, a bounded batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.errors import CallError
from fusion_core.reading.metadata import CONTENT, MAX_ROWS, Row, check_columns, damaged, parse_object
from fusion_core.reading.texts import quoted

MAX_CONTENT_BYTES = 2_000_000_000
BATCH_BYTES = 256_000_000
BATCH_ROWS = 256

_UNREADABLE = object()


def read_parquet(file: BinaryIO, name: str, needed: frozenset[str] = CONTENT) -> Iterator[Row]:
    """Yield the rows in order; integers of a Hugging Face `ClassLabel` column become their names.

    Raises CallError `metadata_damaged` for a damaged file; `call_refused`, `file_too_large` or `resource_exhausted`
    beyond the limits.
    """
    try:
        table = pq.ParquetFile(file, page_checksum_verification=True)
        columns = list(table.schema_arrow.names)
        check_columns(columns, name, needed)
        if table.metadata.num_rows > MAX_ROWS:
            raise CallError(f"{quoted(name)} has {table.metadata.num_rows:,} rows; at most {MAX_ROWS:,} are read")
        _check_types(table.schema_arrow, name)
        names = _class_names(table.schema_arrow)
        number = 0
        for batch in _batches(table, name):
            for cells in zip(*map(_values, batch), strict=True):
                number += 1
                yield _row(number, f"row {number} of {quoted(name)}", dict(zip(columns, cells, strict=True)), names)
    except CallError:
        raise
    except MemoryError as error:
        raise CallError(f"{quoted(name)} needs more memory than there is", "resource_exhausted") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise damaged(f"{quoted(name)} is not a whole Parquet file and cannot be read") from error


def _check_types(schema: pa.Schema, name: str) -> None:
    """Refuse dictionaries inside lists and structs: a few bytes of them unpack to any size, and unseen."""
    for column in schema:
        if "dictionary<" in str(column.type) and not pa.types.is_dictionary(column.type):
            raise damaged(f"column {quoted(column.name)} of {quoted(name)} nests a dictionary, which is not read")


def _batches(table: pq.ParquetFile, name: str) -> Iterator[list[pa.Array]]:
    """Yield the columns of a few rows at a time, dictionaries unpacked so that what is counted is what is there."""
    total = 0
    for group in range(table.metadata.num_row_groups):
        size = max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, table.metadata.row_group(group).total_byte_size)))
        # Group by group: pyarrow keeps the pages of all groups it was asked for until the last is read.
        for batch in table.iter_batches(batch_size=size, row_groups=[group]):
            columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns]
            total += sum(column.nbytes for column in columns)
            if total > MAX_CONTENT_BYTES:
                raise CallError(f"{quoted(name)} unpacks to more than {MAX_CONTENT_BYTES:,} bytes", "file_too_large")
            yield columns


def _values(column: pa.Array) -> list[object]:
    """Return a column as Python values; one that cannot be (text that is no UTF-8) spoils its own row only."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz and "UTC"), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        return [_value(cell) for cell in column]


def _value(cell: pa.Scalar) -> object:
    try:
        return cell.as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return _UNREADABLE


def _row(number: int, where: str, cells: dict[str, object], names: dict[str, list[str]]) -> Row:
    spoiled = next((column for column, cell in cells.items() if cell is _UNREADABLE), None)
    if spoiled is not None:
        return Row(number, where, fault=f"has a cell in column {quoted(spoiled)} that cannot be read")
    for column, classes in names.items():
        place = cells.get(column)
        if isinstance(place, int) and 0 <= place < len(classes):
            cells[column] = classes[place]
    return Row(number, where, cells)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the class names that Hugging Face `datasets` writes beside integer labels."""
    try:
        features = parse_object((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]  # type: ignore[index]
        found = {c: f["names"] for c, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {c: n for c, n in found.items() if isinstance(n, list) and all(isinstance(name, str) for name in n)}
