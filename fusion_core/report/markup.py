"""HTML by construction: what comes from data cannot reach the page without being escaped."""

from __future__ import annotations

import html

from fusion_core.reading.texts import show_text

#: Elements that have nothing inside: HTML's own, and the SVG shapes the page draws.
_EMPTY = {"meta", "use", "rect", "line", "path", "polyline", "polygon", "image"}


class Markup(str):
    """HTML that stands on the page as it is; any other string is escaped where it meets one."""

    __slots__ = ()


def safe(value: str) -> Markup:
    """Return text as HTML: hidden and reordering characters made visible, then escaped; HTML stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(show_text(value)))


def joined(*parts: str, by: str = "") -> Markup:
    """Return parts as one piece of HTML, each escaped unless it is HTML already; empty ones are left out."""
    return Markup(safe(by).join(safe(part) for part in parts if part))


def tag(name: str, /, *inside: str, **attributes: str | float | None) -> Markup:
    """Return an element; `class_` gives `class`, `aria_label` gives `aria-label`, an attribute of None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY and not inside:
        return Markup(f"<{name}{given}>" if name == "meta" else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(*inside)}</{name}>")


def number(value: float, shown: str) -> Markup:
    """Return a number as it is printed, with all its digits for whoever reads the page by a program."""
    return tag("data", shown, value=repr(float(value)))


def card(title: str, *inside: str, caption: str = "") -> Markup:
    """Return a titled part of the page."""
    beside = tag("span", caption, class_="caption") if caption else ""
    return tag("section", tag("h3", title, joined(" ", beside) if beside else ""), *inside, class_="card")


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]], class_: str = "") -> Markup:
    """Return a table whose first column names the row; on a narrow screen every cell stands under its column's name."""
    head = tag("tr", *(tag("th", name, scope="col") for name in columns))
    body = [
        tag(
            "tr",
            tag("th", first, scope="row"),
            *(tag("td", cell, data_name=name) for name, cell in zip(columns[1:], rest, strict=True)),
        )
        for first, *rest in rows
    ]
    return tag("table", tag("thead", head), tag("tbody", *body), class_=f"stack {class_}".strip())


def listed(rows: list[tuple[str, str]]) -> Markup:
    """Return names with what belongs to each."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows))


def _value(value: str | float) -> str:
    return safe(value) if isinstance(value, str) else f"{value:.6g}"
