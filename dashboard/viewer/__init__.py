"""The board: one component that shows a record under every strategy and answers hovers and swaps by itself.

The server sends everything once; the browser reports back what was clicked. Streamlit does not send an unchanged
payload again, so `show` keeps the bytes of a record's payload the same while the user clicks about in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import session

HERE = Path(__file__).parent
SCRIPTS = (
    "tools.js",
    "maps.js",
    "strip.js",
    "words.js",
    "image.js",
    "audio.js",
    "look.js",
    "ledger.js",
    "board.js",
)


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_board = st.components.v2.component(
    "fusion_lens_board",
    html=_read("board.html"),
    css=_read("board.css"),
    js="\n".join(_read(name) for name in SCRIPTS),
)


@dataclass(frozen=True)
class Selection:
    """What is chosen on the board: a strategy, a pinned token such as "text:3" or "", and the view of the maps."""

    strategy: str
    token: str
    view: str


def show(payload: Mapping[str, Any], key: str, on_change: Callable[[], None]) -> Selection:
    """Mount the board and return what is chosen on it.

    `on_change` runs before the next run of the script: read `chosen(key)` there and hand the same values to the next
    `views.board.payload`. A payload that asks for something else than before, and than what is chosen, moves the board.
    """
    asked, clicked = _asked(payload), chosen(key)
    memory = _remembered(key) or {"revision": None, "asked": None, "seed": None, "push": 0}
    fresh = memory["revision"] != payload["revision"]
    moved = asked != (clicked or memory["seed"]) and (clicked is None or asked != memory["asked"])
    if fresh or moved:
        memory = {"revision": payload["revision"], "seed": asked, "push": memory["push"] + 1}
    memory = memory | {"asked": asked}
    session.remember(_memory(key), memory)
    seed: Selection = memory["seed"]
    data = dict(payload) | vars(seed) | {"epoch": _epoch(memory)}
    _board(key=key, data=data, on_selection_change=on_change)
    return chosen(key) or seed


def chosen(key: str) -> Selection | None:
    """Return what was last clicked on the board `key` for the record it shows; None before a click."""
    memory, state = _remembered(key), session.recall(key)
    clicked = state.get("selection") if isinstance(state, Mapping) else None
    if memory is None or not clicked or clicked.get("epoch") != _epoch(memory):
        return None
    return _asked(clicked)


def _asked(values: Mapping[str, Any]) -> Selection:
    return Selection(str(values["strategy"]), str(values["token"]), str(values["view"]))


def _epoch(memory: Mapping[str, Any]) -> str:
    return f"{memory['revision']}:{memory['push']}"


def _remembered(key: str) -> dict[str, Any] | None:
    memory = session.recall(_memory(key))
    return memory if isinstance(memory, dict) else None


def _memory(key: str) -> str:
    return f"{key} · board"
