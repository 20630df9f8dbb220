"""What comes with data stays text: no Markdown, HTML, LaTeX, directive, emoji or link is made of it."""

from __future__ import annotations

import re
import string

import pytest
from markdown_it import MarkdownIt

from dashboard.views.escape import markdown_safe

HOSTILE = [
    "![x](https://evil.example/p.png)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "`code` **bold** _em_ ~~gone~~",
    "$x$ and $$y$$",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "a | b\n--- | ---\n1 | 2",
    "&lt;b&gt; &#58;",
    "\\![x](y)",
    "    indented",
    "title\n=====",
    "[a]: https://evil.example\n\n[a]",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_it_as_it_is(text):
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown_safe(text))
    inner = re.fullmatch(r"<p>(.*)</p>\n", html, re.DOTALL).group(1)
    assert "<" not in inner
    shown = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert shown.replace("\u2060", "") == " ".join(text.split())


def test_every_punctuation_mark_is_escaped():
    assert markdown_safe(string.punctuation).replace("\u2060", "") == "".join("\\" + c for c in string.punctuation)


@pytest.mark.parametrize("text", [":smile:", ":material/home:", ":red[x]", "https://evil.example", "me@evil.example"])
def test_patterns_looked_for_after_the_backslashes_are_gone_are_broken(text):
    shown = re.sub(r"\\(.)", r"\1", markdown_safe(text))
    assert not re.search(r":\w+:|:\w+/\w+:|:\w+\[|https?://|@\w", shown)
    assert "www\u2060" in markdown_safe("www.evil.example")


def test_what_hides_or_reorders_is_made_visible():
    assert markdown_safe("a\u202eb\x00") == "a⟨U\\+202E⟩b␀"


def test_plain_words_stay_plain():
    assert markdown_safe("größer als 3 Bilder") == "größer als 3 Bilder"
