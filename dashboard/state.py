"""All session state and all query parameters of the dashboard: what is open, and the address that says so."""

from __future__ import annotations

import streamlit as st

from dashboard.uploads import OpenSet
from fusion_core.reading.cells import MAX_ID_CHARACTERS

LINK = (
    "model", "set", "record", "screen", "strategy", "token", "view", "target", "seam", "direction", "layer", "head",
    "beside",
)  # fmt: skip


def remember(name: str, value: object) -> None:
    """Keep a value for this session."""
    st.session_state[name] = value


def recall(name: str) -> object:
    """Return a value kept for this session; None if there is none."""
    return st.session_state.get(name)


# --- the address ------------------------------------------------------------------------------------------------------


def _address() -> dict[str, str]:
    return {name: str(value)[:MAX_ID_CHARACTERS] for name, value in st.query_params.items() if name in LINK}


def link() -> dict[str, str]:
    """Return what the address asks for; where a change of screens emptied it, what it asked for before."""
    before = recall("link")
    return _address() or (dict(before) if isinstance(before, dict) else {})


def write_link(**parts: str) -> None:
    """Write parts of the address; an empty value removes its part."""
    written = {name: value for name, value in (link() | parts).items() if value}
    remember("link", written)
    for name in LINK:
        value = written.get(name, "")
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def arrives_at(screen: str) -> bool:
    """Return whether a link leads a new session to this screen: once, so that leaving it again stays possible."""
    first = recall("arrived") is None
    remember("arrived", True)
    return first and st.query_params.get("screen") == screen


def enter(screen: str) -> None:
    """Note which screen is drawn: where the browser's Back leads to another one, the address there is what counts.

    Within a screen the address only follows what was clicked, and may be late: it is not asked again.
    """
    came_from = recall("entered")
    remember("entered", screen)
    address = _address()
    if came_from not in (None, screen) and address and address != recall("link"):
        remember("link", address)
        remember("moves", moves() + 1)


# --- moving from record to record -------------------------------------------------------------------------------------


def moves() -> int:
    """Return how often another record was moved to: what was clicked before belongs to the one before."""
    count = recall("moves")
    return count if isinstance(count, int) else 0


def move_to(set_key: str, id: str) -> None:
    """Make another record the one that is shown, from the next run on.

    set_key: of an upload, or "" for the records that came with the model. id: "" for the first of its set.
    """
    write_link(set=set_key, record=id, token="")
    remember("moves", moves() + 1)


def go_to(opened: OpenSet, id: str) -> None:
    """Move to a record of an open set."""
    move_to(opened.key if opened.upload else "", id)


def picker_key(set_key: str) -> str:
    """Name the record picker of a set: a new one, that begins at the address, each time another record is moved to."""
    return f"record · {set_key} · {moves()}"


def kept_order(set_key: str, order: list[str]) -> list[str]:
    """Return the order in which a presenter began to walk through a set: a swap of strategy must not shuffle it."""
    kept = recall("order")
    if isinstance(kept, tuple) and kept[0] == set_key and set(kept[1]) == set(order):
        return list(kept[1])
    remember("order", (set_key, order))
    return order


# --- what the board asked for of the record that is open ---------------------------------------------------------------


def fills(content: str) -> int:
    """Return how often the board asked for more of this record since it was opened."""
    kept = recall("fills")
    return kept[1] if isinstance(kept, tuple) and kept[0] == content else 0


def fill_more(content: str) -> None:
    """Note that the board asked for more of this record."""
    remember("fills", (content, fills(content) + 1))
