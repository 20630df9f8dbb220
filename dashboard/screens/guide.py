"""Which fusion, when: for an engineer who must decide, with what was measured here and the way to see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dashboard import compare_session, session, state
from dashboard.options import SAMPLES
from dashboard.views import guide
from fusion_core.compare.result import Comparison

STYLE = Path(__file__).parents[1] / "compare.css"
#: Sample sets, what they are, and records that show what is said: model, record, strategy, words on the button.
SHOWN = {
    "scene_qa": (
        "Questions about pictures of coloured shapes",
        (
            ("sq-test-0556", "late", "Late cannot tell which shape: sq-test-0556"),
            ("sq-test-0556", "cross_attention", "Cross-attention looks it up: the same record"),
        ),
    ),
    "feedback": (
        "Feedback in words, a reaction picture and a voice note",
        (("fb-test-0238", "late", "A picture outvotes the words: fb-test-0238"),),
    ),
}


def render(go: Callable[[str], None]) -> None:
    """Place the page; `go` leads to another screen by its name."""
    if isinstance(wanted := state.recall("guide to"), str):
        state.remember("guide to", None)
        go(wanted)
    st.html(STYLE)
    measured = _measured()
    with st.container(border=True, key="compare box what"):
        st.markdown("## Which fusion, when")
        st.markdown(guide.WHAT)
    with st.container(border=True, key="compare box decide"):
        st.markdown("**What should I take?** :small[:gray[read down to the first line that is yours]]")
        st.html(guide.decisions_html())
    columns = st.columns(len(SHOWN))
    for column, name in zip(columns, SHOWN, strict=True):
        with column.container(border=True, key=f"compare box shown {name}"):
            _shown(name, measured.get(name))
    with st.container(border=True, key="compare box ten"):
        st.markdown("**What are the ten strategies, and what did they do here?**")
        st.html(guide.strategies_html(measured))
        st.caption(
            "Figures are read from the comparisons of the sample sets, on records no head has seen; 95 % intervals. "
            "Under faults: mean accuracy over all kinds and severities of damage (relative robustness). ms: one fusion "
            "per record on cached tokens, encoders not counted."
        )
        st.markdown(guide.TRADE_OFFS)


def _measured() -> dict[str, Comparison]:
    """Return the comparisons of the sample sets, where they were made."""
    found = {
        name: compare_session.saved_comparison(str(SAMPLES / "bundles" / name), str(SAMPLES / name / "test"))
        for name in SHOWN
    }
    return {name: one for name, one in found.items() if one is not None}


def _shown(name: str, found: Comparison | None) -> None:
    about, records = SHOWN[name]
    st.markdown(f"**What does `{name}` show?** :small[:gray[{about}]]")
    if found is None:
        st.caption(guide.NOT_MEASURED)
    else:
        st.html(guide.shown_html(found))
    if not any(place.name == name for place in session.choices()):
        st.caption("Start the dashboard without `--model` to open this sample.")
        return
    with st.container(horizontal=True, gap="small", key=f"compare links {name}"):
        for record, strategy, words in records:
            link = {"model": name, "set": "", "record": record, "strategy": strategy}
            _lead(words, f"show {record} {strategy}", "inspect", link)
        beside = {"model": name, "set": "", "record": records[0][0], "part": ""}
        _lead("All strategies on it, side by side", f"beside {name}", "compare", beside)
        whole = {"model": name, "set": "", "record": "", "part": "set"}
        _lead("The whole comparison", f"whole {name}", "compare", whole)


def _lead(words: str, key: str, screen: str, link: dict[str, str]) -> None:
    st.button(words, type="tertiary", key=key, icon=":material/arrow_forward:", on_click=_open, args=(screen, link))


def _open(screen: str, link: dict[str, str]) -> None:
    """Open a record or a comparison on another screen, from the next run on."""
    state.write_link(**link, screen=screen, token="", target="", view="", beside="")
    state.remember("moves", state.moves() + 1)
    state.remember("guide to", screen)
