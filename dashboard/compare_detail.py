"""Behind the table: faults, absent modalities, calibration, what is leaned on, and what pairs of modalities know."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.compare_desk import CompareDesk
from dashboard.views import compare_charts as charts
from dashboard.views.compare import calibration_words, fault_kinds, fault_words, offered, robustness_html
from dashboard.views.labels import say
from dashboard.views.presence import presence_html
from fusion_core.compare.result import Comparison, StrategyReport

DETAIL = "compare details"


@st.fragment(key=DETAIL)
def detail_cards(desk: CompareDesk, found: Comparison, done: bool) -> None:
    """Place the cards there are figures for; the strategy and fault that are chosen stand in the address."""
    reports = offered(found)
    kinds = fault_kinds(found)
    asked = _asked(found)
    first, second = st.columns([5, 4])
    if done or kinds:
        with first.container(border=True, key="compare box faults"):
            _faults(desk, found, kinds, done)
    if done or any(r.reliance or r.perceptual for r in reports):
        with first.container(border=True, key="compare box leaning"):
            _leaning(found, reports, done)
    if done or any(r.patterns for r in reports):
        with second.container(border=True, key="compare box presence"):
            _presence(found, reports, done)
    if asked and (done or any(r.quality for r in reports)):
        with second.container(border=True, key="compare box one"):
            asked = _one_strategy(found, reports, done)
    if done or any(r.information for r in reports):
        with second.container(border=True, key="compare box pairs"):
            _pairs(found, asked, done)


def _later(done: bool, why: str) -> None:
    """Say why there is nothing here: not yet, or not with these records."""
    st.caption(why if done else "Not measured yet.")


def _faults(desk: CompareDesk, found: Comparison, kinds: list[str], done: bool) -> None:
    st.markdown("**How do the answers hold when an input is damaged?** :small[:gray[accuracy by severity]]")
    if not kinds:
        _later(done, "No fault was tried: that needs labelled records.")
        return
    asked = state.link().get("fault", "")
    kind = st.selectbox(
        "Kind of fault",
        kinds,
        kinds.index(asked) if asked in kinds else 0,
        format_func=fault_words,
        label_visibility="collapsed",
        key=f"fault · {state.jumps()}",
        width=260,
    )
    state.write_link(fault=kind if kind != kinds[0] else "")
    best = found.verdict.strategy if found.verdict else ""
    shown = list(dict.fromkeys(name for name in (best, desk.today, _asked(found)) if name))
    st.plotly_chart(charts.robustness(found, kind, shown), key="robustness", theme="streamlit")
    some = next(curve for report in found.strategies for curve in report.curves if curve.kind == kind)
    once = "" if some.graded else " The harm is the same at every severity, so it is measured once."
    st.caption(
        f"{some.records:,} records, 95 % intervals; grey: the other strategies.{once} Relative robustness: mean height "
        "of the curve. Effective: mean over severities of how much less it falls than late fusion does (MultiBench)."
    )
    st.html(robustness_html(found, kind))


def _presence(found: Comparison, reports: list[StrategyReport], done: bool) -> None:
    measured = [pattern for report in reports for pattern in report.patterns]
    labelled = any(pattern.accuracy for pattern in measured)
    what = "accuracy" if labelled else "share answered as with all modalities"
    st.markdown(f"**What is left when modalities are absent?** :small[:gray[{what}]]")
    if not measured:
        _later(done, "Presence patterns were not measured here.")
        return
    st.html(presence_html(found))
    error = "; ECE below it" if labelled else ""
    st.caption(
        f"Only these modalities left, the others removed (policy: missing); {max(p.records for p in measured):,} "
        f"records{error}. Hover for the 95 % interval."
    )


def _leaning(found: Comparison, reports: list[StrategyReport], done: bool) -> None:
    st.markdown("**What does each strategy lean on, and what would it lose?**")
    if not any(report.reliance or report.perceptual for report in reports):
        _later(done, "Neither was measured here.")
        return
    first, second = st.columns(2)
    if any(report.reliance for report in reports):
        ledgers = max(report.ledgers for report in reports)
        first.plotly_chart(charts.reliance(found), key="reliance")
        first.caption(f"Mean share of the absolute Shapley contributions over {ledgers:,} records, marginal donors.")
    scores = [score for report in reports for score in report.perceptual]
    if scores:
        second.plotly_chart(charts.perceptual(found), key="perceptual")
        second.caption(
            f"Perceptual score: accuracy lost when a modality comes from another record; {scores[0].permutations} "
            f"permutations of {scores[0].records:,} records, 95 % intervals."
        )


def _asked(found: Comparison) -> str:
    """Return the strategy that is looked at closely: the one asked for, else the recommended one, else the best."""
    names = [report.strategy for report in offered(found)]
    asked = state.link().get("strategy", "")
    best = found.verdict.strategy if found.verdict else ""
    return next((name for name in (asked, best, *names) if name in names), "")


def _one_strategy(found: Comparison, reports: list[StrategyReport], done: bool) -> str:
    """Show how far the confidence of the strategy that is looked at can be believed; return its name."""
    names = [report.strategy for report in reports]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**How far can its confidence be believed?**", width="stretch")
        at = names.index(_asked(found))
        key = f"looked at · {state.jumps()} · {len(names)}"
        chosen = st.selectbox("Strategy", names, at, format_func=say, label_visibility="collapsed", key=key, width=190)
    state.write_link(strategy=chosen)
    _calibration(found.of(chosen), done)
    return chosen


def _calibration(report: StrategyReport, done: bool) -> None:
    if report.quality is None:
        _later(done, "Calibration needs labelled records.")
        return
    found = report.quality.calibration
    st.plotly_chart(charts.calibration(found), key="reliability")
    st.caption(calibration_words(found, report.quality.records))


def _pairs(found: Comparison, asked: str, done: bool) -> None:
    st.markdown("**What do two modalities know alike, alone, and only together?** :small[:gray[bits about the label]]")
    owners = [r for r in found.strategies if r.information]
    if not owners:
        _later(done, "Not measured: it needs two modalities and labelled records.")
        return
    report = next((r for r in owners if r.strategy == asked), owners[0])
    st.plotly_chart(charts.information(report), key="information")
    st.caption(
        f"Partial information decomposition of the vectors that {say(report.strategy)} pools, in "
        f"{' and '.join(str(n) for n in report.information[0].clusters)} clusters, less what a permuted label gives; "
        f"{report.information[0].records:,} records, 95 % intervals."
    )
