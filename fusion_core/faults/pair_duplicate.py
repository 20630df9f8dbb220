"""Image and audio of a record before, both sent again: a request repeated; whatever the severity."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, with_earlier
from fusion_core.types import Record


def duplicate(given: Injection) -> Record | None:
    """Take image and audio of the nearest earlier record that has both and shares neither."""
    own = given.record
    return None if own.image is None or own.audio is None else with_earlier(given, ("image", "audio"))


fault("pair.duplicate")(Fault("pair", "duplicated", duplicate, graded=False))
