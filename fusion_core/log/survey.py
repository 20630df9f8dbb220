"""A first look at all rows of somebody else's log: its classes, the order of its probabilities, its slices."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fusion_core.errors import CallError, RecordError
from fusion_core.log.columns import Columns, number_in
from fusion_core.log.entries import slice_kinds
from fusion_core.log.schema import SliceKind
from fusion_core.log.shares import check_confidence, check_shares
from fusion_core.reading.cells import words
from fusion_core.reading.metadata import Row
from fusion_core.reading.rows import is_empty
from fusion_core.reading.texts import quoted
from fusion_core.types import MODALITIES

MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Survey:
    """What the rows have in common. slices: columns of the file, as it names them, with their kinds."""

    rows: int
    columns: Columns
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    slices: Mapping[str, SliceKind]

    def probabilities(self, row: Row) -> tuple[float, ...] | None:
        """Return a row's probabilities in the order of the classes, None where it has none.

        Raises RecordError `metadata_damaged` unless there is one from 0 to 1 for each class and they sum to 1.
        """
        given = shares_of(row, self.columns)
        if given is None:
            return None
        if isinstance(given, Mapping):
            given = [given.get(name, 0.0) for name in self.classes]
        check_shares(given, len(self.classes))
        return tuple(given)

    def confidence(self, row: Row, prediction: str, probabilities: Sequence[float] | None) -> float:
        """Return the confidence a row states, else its prediction's probability, else NaN.

        Raises RecordError when it states no number from 0 to 1, or predicts no class.
        """
        stated = self.columns.number(row, "confidence")
        if prediction not in self.classes:
            raise RecordError(f"predicts {quoted(prediction, 40)}, which is none of the classes", "metadata_damaged")
        if stated is not None:
            check_confidence(stated)
            return stated
        return math.nan if probabilities is None else probabilities[self.classes.index(prediction)]


def shares_of(row: Row, columns: Columns) -> list[float] | dict[str, float] | None:
    """Return a row's probabilities as a list, or by class; RecordError `metadata_damaged` for anything else."""
    if columns.classes:
        found = {name: number_in(row.cells.get(column), column) for name, column in columns.classes.items()}
        given = {name: share for name, share in found.items() if share is not None}
        if given and len(given) < len(found):
            raise RecordError("has probabilities of some classes only", "metadata_damaged")
        return given or None
    cell = columns.of(row)("probabilities")
    if isinstance(cell, str) and cell:
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise RecordError("probabilities are neither a list nor an object", "metadata_damaged") from error
    if cell is None or cell == "":
        return None
    if isinstance(cell, Mapping):
        return {str(name): _share(value) for name, value in cell.items() if value is not None}
    if isinstance(cell, Sequence) and not isinstance(cell, (str, bytes)):
        return [_share(value) for value in cell]
    raise RecordError("probabilities are neither a list nor an object", "metadata_damaged")


def _share(value: object) -> float:
    found = number_in(value, "a probability")
    if found is None:
        raise RecordError("a probability is missing", "metadata_damaged")
    return found


def survey(rows: Iterable[Row], columns: Columns, classes: Sequence[str] = ()) -> Survey:
    """Read all rows once. classes: the order of probabilities in lists, where it is known.

    Raises CallError when lists of probabilities come in an order that neither `classes` nor the rows tell.
    """
    said: dict[str, None] = {}
    named: dict[str, None] = dict.fromkeys(columns.classes)
    order = _Order()
    seen = _Seen(columns)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        if row.fault:
            continue
        seen.add(row)
        cell = columns.of(row)
        try:
            prediction = words(cell("prediction"), "prediction")
            truth = words(cell("label"), "label")
            shares = shares_of(row, columns)
        except RecordError:
            continue
        said.update(dict.fromkeys(name for name in (prediction, truth) if name is not None))
        if isinstance(shares, dict):
            named.update(dict.fromkeys(shares))
        elif shares and prediction is not None:
            order.add(shares, prediction)
        if len(said) > MOST_CLASSES:
            raise CallError(f"there are more than {MOST_CLASSES:,} different predictions and labels; are they classes?")
    found = _classes(tuple(classes), tuple(named), sorted(said), order)
    return Survey(count, columns, found, seen.modalities, seen.slices)


def _classes(given: tuple[str, ...], named: tuple[str, ...], said: list[str], order: _Order) -> tuple[str, ...]:
    if given:
        found = given
    elif order.length:
        found = order.classes(said)
    else:
        found = named
    return (*found, *(name for name in said if name not in found)) if not order.length else found


class _Order:
    """Learns which place of a list of probabilities is which class: the highest place is the prediction."""

    def __init__(self) -> None:
        self.length, self._doubt = 0, False
        self._at: dict[int, str] = {}

    def add(self, shares: Sequence[float], prediction: str) -> None:
        """Look at one row."""
        self.length = self.length or len(shares)
        top = max(shares)
        places = [place for place, share in enumerate(shares) if share == top]
        if len(places) == 1 and self._at.setdefault(places[0], prediction) != prediction:
            self._doubt = True

    def classes(self, said: list[str]) -> tuple[str, ...]:
        """Return the classes in the order of the lists; CallError unless the rows leave no doubt."""
        known = dict(self._at)
        rest = [name for name in said if name not in known.values()]
        open_places = [place for place in range(self.length) if place not in known]
        if len(rest) == len(open_places) == 1:
            known[open_places[0]] = rest[0]
        if self._doubt or len(set(known.values())) < len(known) or sorted(known) != list(range(self.length)):
            names = ", ".join(quoted(name, 30) for name in said[:10])
            raise CallError(
                f"the rows do not tell which of {self.length} probabilities is which class ({names}); give --classes"
            )
        return tuple(known[place] for place in range(self.length))


class _Seen:
    """Learns which modalities and slices there are."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.slices: dict[str, SliceKind] = {}
        self._there: set[str] = set()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that any row has."""
        return tuple(m for m in MODALITIES if m in self._there)

    def add(self, row: Row) -> None:
        """Look at one row."""
        cell = self.columns.of(row)
        self._there.update(m for m in MODALITIES if not is_empty(cell(m)))
        cells = {column: value for column, value in row.cells.items() if column not in self.columns.taken}
        for column, kind in slice_kinds([cells]).items():
            if self.slices.get(column, "number") == "number":
                self.slices[column] = kind
