"""The board: one component that shows a record under every strategy and answers hovers and swaps by itself.

The server sends everything once; the browser reports back what was chosen. Streamlit does not send an unchanged
message again, so `show` keeps its bytes the same while the user clicks about in a record. It is bytes, and not a
dictionary, because Streamlit writes, parses and sorts a dictionary three times in every run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.views.board import Board

MAX_CHARACTERS = 512
HERE = Path(__file__).parent
SCRIPTS = (
    "tools.js",
    "maps.js",
    "scores.js",
    "strip.js",
    "words.js",
    "image.js",
    "audio.js",
    "asking.js",
    "heads.js",
    "badge.js",
    "look.js",
    "ledger.js",
    "similar.js",
    "actions.js",
    "pane.js",
    "board.js",
)


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


_board = st.components.v2.component(
    "fusion_lens_board",
    html=_read("board.html"),
    css="\n".join(_read(name) for name in ("board.css", "lanes.css", "explain.css", "cards.css")),
    js="\n".join(_read(name) for name in SCRIPTS),
)


@dataclass(frozen=True)
class Selection:
    """What is chosen on the board, as it stands in the address.

    token: pinned, such as "text:3", or "". target: the class explained, "" for the strategy's own answer. layer: a
    group of attention maps by its label, "" for the board's choice. head: from 1, "" for all. map: how attention is
    read. method: of attribution. against: a class to contrast with, "" for the mean. beside: a second strategy, or "".
    """

    strategy: str = ""
    token: str = ""
    view: str = "attention"
    target: str = ""
    seam: str = "fusion"
    direction: str = "both"
    layer: str = ""
    head: str = ""
    map: str = "raw"
    method: str = "integrated_gradients"
    against: str = ""
    beside: str = ""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Selection:
        """Take what is named in an address or a message; anything else is left as it is by default."""
        return cls(**{f.name: str(values[f.name])[:MAX_CHARACTERS] for f in fields(cls) if values.get(f.name)})

    def for_link(self) -> dict[str, str]:
        """Return the parts of the address: strategy, token and view always, the others where they are not default."""
        plain = asdict(Selection())
        return {
            name: value if name in ("strategy", "view") or value != plain[name] else ""
            for name, value in asdict(self).items()
        }


def show(
    board: Board,
    around: Mapping[str, Any],
    key: str,
    asked: Selection,
    on_ask: Callable[[], None],
) -> Selection:
    """Mount the board and return what is chosen on it.

    board: the record. around: what stands around it and may change while it is shown, as JSON.
    asked: what to open with, and where to move when it asks for something else than before and than what is chosen.
    `on_ask` runs before the next run of the script, where the board asks for something: see `requests`.
    """
    clicked = chosen(key)
    memory = _remembered(key) or {"revision": None, "asked": None, "seed": None, "push": 0}
    fresh = memory["revision"] != board.revision
    moved = asked != (clicked or memory["seed"]) and (clicked is None or asked != memory["asked"])
    moved |= memory.get("moves") not in (None, state.moves())
    if fresh or moved:
        memory = {"revision": board.revision, "seed": asked, "push": memory["push"] + 1}
    memory = memory | {"asked": asked, "moves": state.moves()}
    state.remember(_memory(key), memory)
    seed: Selection = memory["seed"]
    head: dict[str, Any] = {"revision": board.revision, "stage": board.stage, "seed": asdict(seed)}
    head |= {"epoch": _epoch(memory), "jumps": state.jumps(), "answered": _answered(key), **around}
    message = json.dumps(head).encode() + b"\n" + board.body
    _board(key=key, data=message, on_selection_change=_nothing_more, on_ask_change=on_ask)
    return chosen(key) or seed


def _nothing_more() -> None:
    """Stand where Streamlit wants a callback, for the value to be kept as state: the run that follows reads it."""


def chosen(key: str) -> Selection | None:
    """Return what was last clicked on the board `key` for the record it shows; None before a click."""
    memory, kept = _remembered(key), state.recall(key)
    clicked = kept.get("selection") if isinstance(kept, Mapping) else None
    if memory is None or not clicked or clicked.get("epoch") != _epoch(memory) or memory["moves"] != state.moves():
        return None
    return Selection.read(clicked)


def stands(key: str) -> bool:
    """Return whether this session has shown the board before."""
    return _remembered(key) is not None


def requests(key: str) -> tuple[dict[str, Any], ...]:
    """Return what the board asks the server for and was not answered: `fill`, `judge`, `start`, `stop`, `open`, `step`.

    Each is returned once: a message repeats what was asked before it, because only the last of a run arrives.
    """
    kept = state.recall(key)
    asked = kept.get("ask") if isinstance(kept, Mapping) else None
    entries = [e for e in asked if isinstance(e, Mapping)] if isinstance(asked, list) else []
    fresh = [dict(e) for e in entries if isinstance(e.get("number"), int) and e["number"] > _answered(key)]
    if fresh:
        state.remember(f"{key} answered", max(e["number"] for e in fresh))
    return tuple(fresh)


def _answered(key: str) -> int:
    number = state.recall(f"{key} answered")
    return number if isinstance(number, int) else 0


def _epoch(memory: Mapping[str, Any]) -> str:
    return f"{memory['revision']}:{memory['push']}"


def _remembered(key: str) -> dict[str, Any] | None:
    memory = state.recall(_memory(key))
    return memory if isinstance(memory, dict) else None


def _memory(key: str) -> str:
    return f"{key} · board"
