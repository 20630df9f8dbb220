"""The one way from text that came with data into a message that Streamlit reads as Markdown."""

from __future__ import annotations

import re

from fusion_core.reading.texts import show_text

#: Every ASCII punctuation mark: CommonMark takes any of them literally after a backslash.
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
#: Emoji, icon and link patterns are looked for once more after backslashes are gone: a word joiner breaks them.
_LATE = re.compile(r"(\\[:@](?=\S)|www(?=\\\.))", re.IGNORECASE)
_JOINER = "\u2060"


def markdown_safe(text: str) -> str:
    """Return Markdown that shows `text` as it is: no image, link, HTML, LaTeX, directive or emoji comes of it.

    Line breaks become spaces, so that no block begins inside; characters that hide or reorder others are made visible.
    """
    line = " ".join(show_text(text).split())
    return _LATE.sub(rf"\1{_JOINER}", _PUNCTUATION.sub(r"\\\1", line))
