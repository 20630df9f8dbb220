"""The charts of Compare: robustness, calibration, what is leaned on, and what pairs of modalities know."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from dashboard.views.charts import CAUSE_COLOURS, UNEXPLAINED, plain_figure, reliability
from dashboard.views.compare import curve_of, fault_words, offered
from fusion_core.compare.result import Calibration, Comparison, Measured, StrategyReport
from fusion_core.words import say

BLUE, ORANGE, GREEN, PURPLE = CAUSE_COLOURS[:4]
ERRORS = "#8a93a3"
MODALITY_COLOURS = {"text": BLUE, "image": ORANGE, "audio": GREEN}
#: Redundancy, the unique parts and synergy, in the order they are stacked.
PARTS = (("redundancy", UNEXPLAINED), ("unique_first", BLUE), ("unique_second", ORANGE), ("synergy", PURPLE))


def _error(figures: Sequence[Measured], colour: str = "") -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [f.high - f.value for f in figures],
        "arrayminus": [f.value - f.low for f in figures],
        "width": 0,
        "thickness": 1,
    } | ({"color": colour} if colour else {})


def robustness(found: Comparison, kind: str, shown: Sequence[str]) -> go.Figure:
    """Draw accuracy over the severity of one kind of fault; shown: strategies in colour, the others stay grey."""
    figure = go.Figure()
    reports = [report for report in offered(found) if curve_of(report, kind)]
    for report in sorted(reports, key=lambda r: r.strategy in shown):
        curve = curve_of(report, kind)
        assert curve is not None
        chosen = report.strategy in shown
        colour = CAUSE_COLOURS[list(shown).index(report.strategy)] if chosen else UNEXPLAINED
        figure.add_scatter(
            x=list(curve.severities),
            y=[point.value for point in curve.accuracy],
            mode="lines+markers",
            name=say(report.strategy),
            showlegend=chosen,
            opacity=1.0 if chosen else 0.45,
            line={"color": colour, "width": 2.5 if chosen else 1.2},
            marker={"size": 6 if chosen else 4},
            error_y=_error(curve.accuracy) if chosen else None,
            hovertemplate=f"{say(report.strategy)}, severity %{{x}}: %{{y:.2f}}<extra></extra>",
        )
    severities = sorted({s for r in reports if (c := curve_of(r, kind)) for s in c.severities})
    figure.update_xaxes(tickvals=severities, title=f"severity of {fault_words(kind)}, 0: none")
    figure.update_yaxes(title="accuracy")
    return _with_legend(plain_figure(figure, 330))


def _with_legend(figure: go.Figure) -> go.Figure:
    figure.update_layout(
        showlegend=True,
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 12},
            "traceorder": "normal",
        },
    )
    figure.update_layout(margin={"l": 8, "r": 8, "t": 34, "b": 8})
    return figure


def calibration(found: Calibration) -> go.Figure:
    """Draw how often a strategy is right at each confidence it answers with."""
    columns = ("confidence", "accuracy", "low", "high")
    table = pd.DataFrame([{**{c: getattr(b, c) for c in columns}, "rows": b.records} for b in found.bins])
    return reliability(table)


def reliance(found: Comparison) -> go.Figure:
    """Draw what each strategy leans on: the mean share of the ledger's contributions per modality."""
    reports = [report for report in offered(found) if report.reliance]
    figure = go.Figure()
    for modality in found.modalities:
        own = [report.reliance.get(modality) for report in reports]
        figure.add_bar(
            y=[say(report.strategy) for report in reports],
            x=[part.value if part else 0.0 for part in own],
            customdata=[f"{part.low:.2f} to {part.high:.2f}" if part else "" for part in own],
            orientation="h",
            name=say(modality),
            marker={"color": MODALITY_COLOURS.get(modality, PURPLE)},
            hovertemplate=f"%{{y}}, {say(modality)}: %{{x:.2f}} (%{{customdata}})<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(range=[0, 1], title="share of the absolute contributions")
    figure.update_yaxes(autorange="reversed")
    return _with_legend(plain_figure(figure, 90 + 26 * max(3, len(reports))))


def perceptual(found: Comparison) -> go.Figure:
    """Draw what each strategy loses when a modality comes from another record."""
    reports = [report for report in offered(found) if report.perceptual]
    figure = go.Figure()
    for modality in found.modalities:
        own = [(say(r.strategy), s) for r in reports for s in r.perceptual if s.modality == modality]
        figure.add_scatter(
            y=[name for name, _ in own],
            x=[score.score for _, score in own],
            mode="markers",
            name=say(modality),
            marker={"color": MODALITY_COLOURS.get(modality, PURPLE), "size": 8},
            error_x=_error([Measured(score.score, *score.interval) for _, score in own]),
            hovertemplate=f"%{{y}}, {say(modality)}: %{{x:.2f}}<extra></extra>",
        )
    figure.update_layout(scattermode="group", scattergap=0.4)
    figure.add_vline(x=0, line={"dash": "dot", "width": 1, "color": UNEXPLAINED})
    figure.update_xaxes(title="accuracy lost", showgrid=True, gridcolor="rgba(128,138,155,.18)")
    figure.update_yaxes(autorange="reversed")
    return _with_legend(plain_figure(figure, 90 + 26 * max(3, len(reports))))


def information(report: StrategyReport) -> go.Figure:
    """Draw what each pair of modalities knows about the labels: alike, each alone, and only together."""
    pairs = [f"{say(found.first)}, {say(found.second)}" for found in report.information]
    figure = go.Figure()
    for part, colour in PARTS:
        values = [getattr(found.bits, part) for found in report.information]
        said = [
            f"{_part_words(part, found.first, found.second)}: {value:.2f} bits ({found.intervals[part][0]:.2f} to "
            f"{found.intervals[part][1]:.2f}), n {found.records:,}"
            for found, value in zip(report.information, values, strict=True)
        ]
        figure.add_bar(
            x=pairs,
            y=values,
            name={"unique_first": "first alone", "unique_second": "second alone"}.get(part, part),
            marker={"color": colour},
            customdata=said,
            error_y=_error([Measured(getattr(f.bits, part), *f.intervals[part]) for f in report.information], ERRORS),
            hovertemplate="%{x}: %{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.3)
    figure.update_yaxes(title="bits")
    return _with_legend(plain_figure(figure, 300))


def _part_words(part: str, first: str, second: str) -> str:
    return {"unique_first": f"{say(first)} alone", "unique_second": f"{say(second)} alone"}.get(part, part)
