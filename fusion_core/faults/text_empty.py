"""A text that is there and says nothing, whatever the severity."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, on_text


def empty(text: str, given: Injection) -> str:
    """Return blanks."""
    return " "


fault("text.empty")(Fault("text", "missing", on_text(empty), graded=False))
