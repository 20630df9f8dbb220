"""All session state and all query parameters of the dashboard: what is open, and the address that says so."""

from __future__ import annotations

import time

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.uploads import OpenSet
from fusion_core.reading.cells import MAX_ID_CHARACTERS

OF_A_RECORD = (
    "model", "set", "record", "screen", "strategy", "token", "view", "target", "seam", "direction", "layer", "head",
    "map", "method", "against", "beside",
)  # fmt: skip
OF_TRIAGE = ("run", "cause", "where", "since", "until", "rows", "search", "order", "page")
OF_COMPARE = ("part", "today", "fault", "explain", "failures")
OF_FIT = ("source",)
LINK = (*OF_A_RECORD, *OF_TRIAGE, *OF_COMPARE, *OF_FIT)
SCREENS = ("triage", "inspect", "compare", "fit", "guide", "present")
BEHIND = 2.0  # seconds for which a run may still be told the address before the last one


def remember(name: str, value: object) -> None:
    """Keep a value for this session."""
    st.session_state[name] = value


def recall(name: str) -> object:
    """Return a value kept for this session; None if there is none."""
    return st.session_state.get(name)


# --- the address ------------------------------------------------------------------------------------------------------


def _address() -> dict[str, str]:
    return {name: str(value)[:MAX_ID_CHARACTERS] for name, value in st.query_params.items() if name in LINK}


def follow_address() -> None:
    """Take what the address asks for when a session begins, and when the browser's Back or Forward changed it.

    In between the address follows what is clicked, a little late: one that stood there moments ago is no wish.
    """
    address, known = _address(), recall("link")
    if known is None:
        remember("link", address)
    elif address and address != known and address not in _lately():
        remember("link", address)
        remember("moves", moves() + 1)
        remember("jumps", jumps() + 1)


def link() -> dict[str, str]:
    """Return what is asked for and open: by the address at first, by what was clicked since."""
    asked = recall("link")
    return dict(asked) if isinstance(asked, dict) else _address()


def write_link(**parts: str) -> None:
    """Write parts of the address at once, as one step for the browser's Back; an empty value removes its part."""
    before = link()
    written = {name: value for name, value in (before | parts).items() if value}
    if written != before:
        remember("lately", [(time.monotonic(), before), *_replaced()])
    remember("link", written)
    if _address() != written:
        others = {name: value for name, value in st.query_params.items() if name not in LINK}
        st.query_params.from_dict(others | written)


def _replaced() -> list[tuple[float, dict[str, str]]]:
    kept = recall("lately")
    since = time.monotonic() - BEHIND
    return [entry for entry in kept if entry[0] > since] if isinstance(kept, list) else []


def _lately() -> list[dict[str, str]]:
    return [address for _, address in _replaced()]


def arrival() -> str:
    """Return the screen that a link leads a new session to: once, so that leaving it again stays possible."""
    first = recall("arrived") is None
    remember("arrived", True)
    asked = str(st.query_params.get("screen", ""))
    if asked not in SCREENS:
        asked = "inspect" if any(name in st.query_params for name in OF_A_RECORD) else ""
    return asked if first else ""


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
    move_to(opened.link, id)


def jumps() -> int:
    """Return how often the browser's Back or Forward led to another address."""
    count = recall("jumps")
    return count if isinstance(count, int) else 0


def model_key() -> str:
    """Name the model picker: a new one, that begins at the address, where Back or Forward led to another."""
    return f"model · {jumps()}" if jumps() else "model"


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


# --- what the board asked for of the record that is open --------------------------------------------------------------


def fills(content: str) -> int:
    """Return how often the board asked for more of this record since it was opened."""
    kept = recall("fills")
    return kept[1] if isinstance(kept, tuple) and kept[0] == content else 0


def fill_more(content: str) -> None:
    """Note that the board asked for more of this record."""
    remember("fills", (content, fills(content) + 1))


def is_clicked() -> bool:
    """Return whether the browser asks for something while a fragment runs.

    Streamlit ends a whole run for the next one, but lets a fragment run to its end, and has no public way to ask.
    """
    run = get_script_run_ctx()
    if run is None or not run.fragment_ids_this_run:
        return False
    return getattr(getattr(run.script_requests, "_state", None), "name", "") == "RERUN"


def opened(content: str) -> None:
    """Let go of what was asked for of another record: nobody waits for it any more."""
    for what in ("judge", "start"):
        kept = recall(what)
        if isinstance(kept, tuple) and kept[0] != content:
            remember(what, (content, ()))


def noted(content: str, what: str) -> tuple[tuple[str, ...], ...]:
    """Return what the board asked for of this record since it was opened, such as maps to `judge` or to `start`."""
    kept = recall(what)
    return kept[1] if isinstance(kept, tuple) and kept[0] == content else ()


def note(content: str, what: str, entry: tuple[str, ...]) -> None:
    """Note something the board asked for of this record."""
    remember(what, (content, (*(e for e in noted(content, what) if e != entry), entry)))


def forget(content: str, what: str, entry: tuple[str, ...]) -> None:
    """Take back what the board asked for."""
    remember(what, (content, tuple(e for e in noted(content, what) if e != entry)))
