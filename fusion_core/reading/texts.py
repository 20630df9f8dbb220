"""Text as it comes in: what is kept, what is replaced, and how hostile characters are shown."""

from __future__ import annotations

import re

from fusion_core.errors import RecordError

MAX_TEXT_BYTES = 1_000_000

BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SURROGATES = re.compile("[\ud800-\udfff]")
_HIDDEN = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad{BIDI}\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text as it is stored, exact but for lone surrogates (replaced), and notes on what was replaced.

    Raises RecordError `text_too_long` above 1 MB of UTF-8.
    """
    cleaned, lone = _SURROGATES.subn("\ufffd", text)
    size = len(cleaned.encode("utf-8"))
    if size > MAX_TEXT_BYTES:
        raise RecordError(f"text is {size:,} bytes; at most {MAX_TEXT_BYTES:,} are read", "text_too_long")
    return cleaned, ("unpaired surrogates replaced",) if lone else ()


def show_text(text: str) -> str:
    """Make characters visible that would hide or reorder others: control codes as ␀, the rest as ⟨U+202E⟩.

    Newlines, tabs and the joiners that emoji and Persian need are left alone.
    """
    return _HIDDEN.sub(lambda found: _picture(ord(found.group())), text)


def quoted(value: str, limit: int = 80) -> str:
    """Quote a value from a file inside a message: one line, neutralised, cut to `limit` characters."""
    cut = value if len(value) <= limit else value[: limit - 1] + "…"
    return "'" + show_text(cut).replace("\n", "␊").replace("\t", "␉") + "'"


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
