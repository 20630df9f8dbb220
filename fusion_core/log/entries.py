"""What everyone who fills a log needs: plain names for slices and flags, and media kept under what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fusion_core.log.parts import keep_media
from fusion_core.log.schema import ANSWERED, Run, SliceKind
from fusion_core.reading.cells import slice_value
from fusion_core.reading.signatures import suffix_of

MAX_SLICES = 200
MAX_FLAG_CHARACTERS = 60
#: Names of what every log has: a slice of such a name could not be asked for beside it.
RESERVED = frozenset({*ANSWERED.names, "run", "cause", "part", "place"})

_ASIDE = re.compile(r"\([^)]*\)|'[^']*'")
_WORD = re.compile(r"[A-Za-z]+")


def plain_run_name(words: str) -> str:
    """Return words, such as the name of a file, as a name that a run may have."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", words).lstrip("._-")[:64].rstrip(".-") or "run"


def keep_by_content(log: Path, data: bytes) -> str:
    """Keep media in the log under the suffix that their first bytes call for, "bin" for none we know.

    Returns "<sha256>.<ext>"; raises CallError as `keep_media` does.
    """
    return keep_media(log, data, suffix_of(data))


def flag_names(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes on an answer as names that can be counted: words only, without figures, quotes and asides."""
    names = ("-".join(_WORD.findall(_ASIDE.sub(" ", note))).lower()[:MAX_FLAG_CHARACTERS] for note in notes)
    return tuple(dict.fromkeys(name.strip("-") or "note" for name in names))


def slice_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the plain name of every column in their order, no two alike, even where only case would tell them apart.

    A column named like one of ours is numbered, too: "label" is kept as "label_2". At most MAX_SLICES columns are kept
    as slices; the rest is left out.
    """
    found: dict[str, str] = {}
    taken = set(RESERVED)
    for column in dict.fromkeys(columns):
        if len(found) == MAX_SLICES:
            break
        plain = re.sub(r"[^A-Za-z0-9_]", "_", column)[:58]
        plain = plain if plain[:1].isalpha() else f"c_{plain}"
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        found[column] = name
    return found


def slice_marks(names: Mapping[str, str]) -> dict[str, str]:
    """Return what run.json keeps of the columns' plain names, under `mapping`: "slice.<name>" to the column."""
    return {f"slice.{name}": column for column, name in names.items()}


def columns_of(run: Run) -> dict[str, str]:
    """Return the plain name of each column that is a slice of the run, in the run's order."""
    return {run.mapping.get(f"slice.{name}", name): name for name in run.slices}


def slice_kinds(rows: Iterable[Mapping[str, object]]) -> dict[str, SliceKind]:
    """Return every column of the rows with its kind: numbers only if every value there is, is one."""
    kinds: dict[str, SliceKind] = {}
    for row in rows:
        for column, value in row.items():
            cell = slice_value(value)
            if cell is None:
                kinds.setdefault(column, "number")
            elif kinds.get(column, "number") == "number":
                kinds[column] = "number" if isinstance(cell, float) else "text"
    return kinds


def slice_cells(
    row: Mapping[str, object], names: Mapping[str, str], kinds: Mapping[str, SliceKind]
) -> dict[str, str | float | None]:
    """Return a row's slice values by their plain names, each of the kind its column has (`kinds` by plain name)."""
    cells: dict[str, str | float | None] = {}
    for column, name in names.items():
        value = slice_value(row.get(column))
        if value is not None and kinds[name] == "text":
            value = value if isinstance(value, str) else f"{value:g}"
        elif isinstance(value, str):
            value = None  # a text among numbers: only where rows came after the kinds were settled
        cells[name] = value
    return cells
