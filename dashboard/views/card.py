"""A model card as HTML: headings, paragraphs, lists and tables of its Markdown, every text escaped."""

from __future__ import annotations

import re
from html import escape, unescape

from fusion_core.reading.texts import show_text

_CODE = re.compile(r"`([^`]*)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_RULE = re.compile(r"\|[\s:|-]+\|")
_UNESCAPED = re.compile(r"(?<!\\)\|")


def card_html(markdown: str) -> str:
    """Return the card as HTML. No link, picture or markup of the text comes through; only its layout does."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", markdown.strip()):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        while lines and lines[0].startswith("#"):
            parts.append(f"<h4>{_inline(lines.pop(0).lstrip('# '))}</h4>")
        if not lines:
            continue
        if all(line.startswith("|") for line in lines):
            parts.append(_table(lines))
        elif all(line.startswith(("- ", "* ")) for line in lines):
            parts.append(f"<ul>{''.join(f'<li>{_inline(line[2:])}</li>' for line in lines)}</ul>")
        else:
            parts.append(f"<p>{_inline(' '.join(lines))}</p>")
    return f'<div class="fit-card">{"".join(parts)}</div>'


def _table(lines: list[str]) -> str:
    rows = [line for line in lines if not _RULE.fullmatch(line)]
    head = "".join(f"<th>{cell}</th>" for cell in _cells(rows[0])) if rows else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row))}</tr>" for row in rows[1:])
    return f'<div class="fit-scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: str) -> list[str]:
    return [_inline(cell.strip()) for cell in _UNESCAPED.split(row.strip("|"))]


def _inline(text: str) -> str:
    """Escape text; what stands between backticks becomes code, between double stars bold; an escaped bar is a bar."""
    parts = _CODE.split(escape(unescape(show_text(text))))
    plain = [_BOLD.sub(r"<b>\1</b>", part.replace("\\|", "|")) for part in parts[::2]]
    codes = [f"<code>{part}</code>" for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*codes, ""], strict=True))
