"""A comparison as strict JSON, and beside the records it was made on: `comparison.json`, marked with what it is of."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fusion_core.asked import Asked
from fusion_core.compare.plan import made_of
from fusion_core.compare.result import Comparison
from fusion_core.errors import CallError, FusionError
from fusion_core.log.durable import replace_file
from fusion_core.reading.metadata import parse_object
from fusion_core.reading.texts import quoted

FORMAT = 1  # raise it when a figure changes its meaning
FILE_NAME = "comparison.json"
MOST_BYTES = 4_000_000
DIGITS, EXACT = 6, 17  # significant ones that are kept, and those that keep a float as it is
KEYS = {"format", "marks", "comparison"}


def save_comparison(comparison: Comparison, made_of: Mapping[str, str], path: Path) -> None:
    """Put a comparison in the place of `path` at once, with the hashes of what it was made of.

    Raises CallError for a folder that cannot be written or a full disk, ValueError for a number that is not finite.
    """
    content = {"format": FORMAT, "marks": dict(made_of), "comparison": plain(comparison)}
    replace_file(path, (json.dumps(content, allow_nan=False, separators=(",", ":")) + "\n").encode())


def load_comparison(model: Path, records: Path, asked: Asked | None = None) -> Comparison | None:
    """Return the comparison beside a record set's folder; None without one, or where it is damaged or of other things.

    model, asked: the model it must have been made with, and what that was asked where it is no bundle.
    """
    path = records / FILE_NAME
    if not path.is_file():
        return None
    try:
        found, marks = read_comparison(path)
        return found if marks == made_of(model, records, asked) else None
    except (OSError, FusionError):
        return None


def read_comparison(path: Path) -> tuple[Comparison, dict[str, str]]:
    """Read a comparison and the hashes of what it was made of; raises CallError for a file that does not hold one."""
    if path.stat().st_size > MOST_BYTES:
        raise CallError(f"{quoted(path.name)} is over {MOST_BYTES:,} bytes", "file_too_large")
    try:
        content = parse_object(path.read_bytes())
        if set(content) != KEYS or content["format"] != FORMAT:
            raise ValueError(f"format {FORMAT} is read")
        marks = built(dict[str, str], content["marks"])
        return built(Comparison, content["comparison"]), marks
    except (ValueError, RecursionError) as error:
        raise CallError(f"{quoted(path.name)} holds no comparison: {error}", "metadata_damaged") from error


def plain(value: Any, digits: int = DIGITS) -> Any:
    """Return a result type as what JSON has; floats with so many significant digits, 17 to keep them exactly."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), digits) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part, digits) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(part, digits) for part in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def built(kind: Any, value: Any) -> Any:
    """Return what JSON holds as the result type asked for; ValueError where it is not exactly that."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, dict) or set(value) != set(hints):
            raise ValueError(f"{kind.__name__} has other fields")
        return kind(**{name: built(hint, value[name]) for name, hint in hints.items()})
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _checked(value, value in parts)
    if origin in (Union, types.UnionType):
        inner = next(part for part in parts if part is not type(None))
        return None if value is None else built(inner, value)
    if origin is tuple:
        return _built_tuple(parts, value)
    if origin is not None and issubclass(origin, Mapping):
        _checked(value, isinstance(value, dict))
        return {key: built(parts[1], part) for key, part in value.items()}
    if kind is float:
        return float(_checked(value, type(value) in (int, float) and math.isfinite(value)))
    return _checked(value, type(value) is kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _built_tuple(parts: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    _checked(value, isinstance(value, list))
    if parts[-1] is Ellipsis:
        return tuple(built(parts[0], part) for part in value)
    _checked(value, len(value) == len(parts))
    return tuple(built(kind, part) for kind, part in zip(parts, value, strict=True))


def _checked(value: Any, fits: bool) -> Any:
    if not fits:
        raise ValueError(f"{quoted(str(value), 40)} is not what belongs there")
    return value
