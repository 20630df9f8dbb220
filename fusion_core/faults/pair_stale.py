"""The audio of a record before, or the image where there is none, sent again: a cache, or an upload that failed.

Whatever the severity.
"""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, with_earlier
from fusion_core.types import Record


def stale(given: Injection) -> Record | None:
    """Take one medium of the nearest earlier record that has another one."""
    own = given.record
    if own.audio is None and own.image is None:
        return None
    return with_earlier(given, ("audio",) if own.audio is not None else ("image",))


fault("pair.stale")(Fault("pair", "duplicated", stale, graded=False))
