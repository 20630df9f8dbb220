"""Media of another record: the text and the label stay, image and audio are somebody else's; whatever the severity."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, with_media_of
from fusion_core.types import Record


def shuffle(given: Injection) -> Record | None:
    """Take image and audio, as far as the record has them, from one random other record that has other ones."""
    own = given.record
    held = tuple(m for m in ("image", "audio") if getattr(own, m) is not None)
    if not held or len(own.present()) < 2:
        return None
    places = given.random.permutation(len(given.records))
    return with_media_of((given.records[place] for place in places), own, held)


fault("pair.shuffle")(Fault("pair", "mismatched", shuffle))
