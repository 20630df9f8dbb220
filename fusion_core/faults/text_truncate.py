"""A text cut off: a field too short, a request too long."""

from __future__ import annotations

from fusion_core.faults.fault import KEPT, Fault, Injection, fault, on_text


def truncate(text: str, given: Injection) -> str:
    """Keep the first characters, in the middle of a word or not; at least one."""
    return text[: max(1, round(given.amount(KEPT) * len(text)))]


fault("text.truncate")(Fault("text", "truncated", on_text(truncate)))
