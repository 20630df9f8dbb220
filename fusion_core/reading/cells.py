"""One cell of a table, from whatever format: as words, as a slice value, as a time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from fusion_core.errors import RecordError
from fusion_core.reading.texts import clean_text, quoted

MAX_META_CHARACTERS = 10_000
MAX_ID_CHARACTERS = 512

_EXACT_INTEGER = 2**53
_YEARS = (1678, 2261)  # what nanosecond time stamps can hold
_SECONDS = (1e8, 1e11)  # 1973 to 5138; eight-digit dates such as 20240131 lie below
_MILLISECONDS = (1e11, 1e14)


def words(value: object, column: str) -> str | None:
    """Return a cell as text, None when it is empty; lone surrogates replaced.

    Raises RecordError `metadata_damaged` for lists, objects and bytes, `text_too_long` above 1 MB.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return clean_text(value)[0]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    kind = {"list": "a list", "dict": "an object", "bytes": "bytes"}.get(type(value).__name__, "something else")
    raise RecordError(f"column {quoted(column)} holds {kind} where text is expected", "metadata_damaged")


def identity(value: object) -> str | None:
    """Return a row's id, None when it has none; RecordError `metadata_damaged` when it is no short text."""
    found = words(value, "id")
    if found is not None and len(found) > MAX_ID_CHARACTERS:
        raise RecordError(f"id has {len(found):,} characters; at most {MAX_ID_CHARACTERS}", "metadata_damaged")
    return found


def slices(cells: Mapping[str, object], taken: frozenset[str]) -> tuple[dict[str, str | float], tuple[str, ...]]:
    """Return every column not `taken` as a slice value, empty ones left out, and flags for what was cut short."""
    meta: dict[str, str | float] = {}
    flags: list[str] = []
    for column, cell in cells.items():
        if column in taken:
            continue
        value, name = slice_value(cell), words(column, "column") or "column"
        if isinstance(value, str) and len(value) > MAX_META_CHARACTERS:
            value = value[:MAX_META_CHARACTERS]
            flags.append(f"column {quoted(name, 40)} cut to {MAX_META_CHARACTERS:,} characters")
        if value is not None:
            meta[name] = value
    return meta, tuple(flags)


def slice_value(value: object) -> str | float | None:
    """Return a cell as a number or text: integers beyond 2^53 and infinities as text, nested values as JSON."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _number(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, (list, tuple, dict)):
        value = json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
    elif value is not None and not isinstance(value, (str, bool, date)):
        value = str(value)
    if isinstance(value, str):  # cut before it is cleaned, so that a long cell costs no more than a short one
        value = value[: MAX_META_CHARACTERS + 1]
    return words(value, "column")


def _number(value: int | float | Decimal) -> str | float | None:
    if isinstance(value, int):
        return float(value) if abs(value) <= _EXACT_INTEGER else str(value)
    number = float(value)
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else str(number)


def moment(value: object) -> datetime | None:
    """Return a cell as naive UTC: ISO 8601 text (UTC where it names no zone) or seconds or milliseconds since 1970.

    Raises ValueError when it is none of these, or outside the years 1678 to 2261.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        found = _moment(value)
        if found.tzinfo is not None:
            found = found.astimezone(UTC).replace(tzinfo=None)
    except (OverflowError, OSError, TypeError) as error:
        raise ValueError("not a time") from error
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        raise ValueError("not a time")
    return found


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError("not a time")
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return datetime.fromisoformat(text)
    if _SECONDS[0] <= number < _SECONDS[1]:
        return datetime.fromtimestamp(number, UTC)
    if _MILLISECONDS[0] <= number < _MILLISECONDS[1]:
        return datetime.fromtimestamp(number / 1000, UTC)
    return datetime.fromisoformat(text)
