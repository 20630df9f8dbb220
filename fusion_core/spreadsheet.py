"""Text that no spreadsheet takes for a formula."""

from __future__ import annotations

#: What a spreadsheet takes for the start of a formula, with the full-width twins some of them accept.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """Return the text as a spreadsheet shows it: what would be a formula gets an apostrophe before it."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) or text.startswith(_FORMULA) else text
