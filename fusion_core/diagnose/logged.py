"""Records as a log keeps them: what a row was asked about, read back with its media."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fusion_core.errors import RecordError
from fusion_core.log.asking import Filter, Order
from fusion_core.log.kept import media_path
from fusion_core.log.queries import MOST_ROWS, by_slice, found_rows, page
from fusion_core.log.schema import Logged
from fusion_core.log.store import Store
from fusion_core.types import Media, Record, Refusal


def logged_records(store: Store, strategy: str) -> Iterator[tuple[Record | Refusal, Logged]]:
    """Yield the record of each row of a strategy in the order of their time, with its row."""
    order, offset = Order("timestamp", descending=False), 0
    with store.still() as still:
        while True:
            rows = page(still, Filter(strategy=strategy), order, offset, MOST_ROWS)
            for found in found_rows(still, rows):
                yield record_of(store, found.logged), found.logged
            if len(rows) < MOST_ROWS:
                return
            offset += MOST_ROWS


def some_records(store: Store, strategy: str = "", most: int = 200) -> list[Record]:
    """Return the records of a run's first rows, of one strategy or of any: donors for a model that has none."""
    names = [strategy] if strategy else sorted(str(name) for name in by_slice(store, "strategy")["value"])
    rows = logged_records(store, names[0]) if names else iter(())
    return [record for record, _ in islice(rows, most) if isinstance(record, Record)]


def record_of(store: Store, logged: Logged) -> Record | Refusal:
    """Return the record of a row, its release a slice like any other; a refusal where it names no media of a log.

    Media are named by their content: what is read later must be what was kept.
    """
    meta: dict[str, str | float] = {name: value for name, value in logged.slices.items() if value is not None}
    if logged.release is not None:
        meta["release"] = logged.release
    try:
        image, audio = _media(store, logged.image), _media(store, logged.audio)
    except RecordError as error:
        return Refusal(logged.id, error.code, str(error))
    return Record(logged.id, logged.text, image, audio, logged.label, logged.timestamp, meta)


def _media(store: Store, name: str | None) -> Media | None:
    return None if name is None else Media(name.partition(".")[0], name, path=media_path(store.log, name))
