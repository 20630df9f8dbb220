"""Which media of a record came before: the same image or clip among the last records of the same source."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from fusion_core.types import Record

WINDOW = 50
SOURCES = ("source", "device", "vendor", "channel")  # the first of these columns a record has names its source


class Memory:
    """The media of the last 50 records of every source, by their hashes."""

    def __init__(self) -> None:
        self._seen: dict[str, OrderedDict[tuple[str, str], str]] = {}
        self._order: dict[str, list[list[tuple[str, str]]]] = {}

    def repeats(self, record: Record) -> dict[str, str]:
        """Return which of a record's media came before and in which record, and remember them.

        Repeated text is never evidence: people say the same things.
        """
        source = next((str(record.meta[name]) for name in SOURCES if name in record.meta), "")
        seen = self._seen.setdefault(source, OrderedDict())
        order = self._order.setdefault(source, [])
        media = [(m, one.sha256) for m, one in (("image", record.image), ("audio", record.audio)) if one is not None]
        found = {key[0]: seen[key] for key in media if key in seen}
        for key in media:
            seen[key] = record.id
        order.append(media)
        if len(order) > WINDOW:
            for key in order.pop(0):
                if not any(key in later for later in order):
                    seen.pop(key, None)
        return found


def repeat_shares(records: Sequence[Record]) -> dict[str, float]:
    """Return the share of clean records whose image or audio came before: where it is common, it is no evidence."""
    memory = Memory()
    found = [memory.repeats(record) for record in records]
    return {m: sum(m in one for one in found) / max(len(found), 1) for m in ("image", "audio")}
