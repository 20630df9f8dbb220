"""Media of another record: the text and the label stay, image and audio are somebody else's; whatever the severity."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, with_media_of
from fusion_core.types import Record


def shuffle(given: Injection) -> Record | None:
    """Take image and audio, as far as the record has them, from the next of the records that are mixed up.

    All of them pass their media on in a ring; one that stands alone, or whose next has the same, takes a random one's.
    """
    own = given.record
    held = tuple(m for m in ("image", "audio") if getattr(own, m) is not None)
    if not held or len(own.present()) < 2:
        return None
    at = given.chosen.index(given.place) if given.place in given.chosen else 0
    ring = given.chosen[at + 1 :] + given.chosen[:at]
    places = (*ring[:1], *given.random.permutation(len(given.records)))
    return with_media_of((given.records[place] for place in places), own, held)


fault("pair.shuffle")(Fault("pair", "mismatched", shuffle, graded=False))
