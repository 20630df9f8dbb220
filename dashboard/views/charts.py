"""The aggregate charts: what is failing, since when, where, and how sure the model is of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fusion_core.words import NOT_EXPLAINED

#: One colour per cause in the order of its rank; readable on both grounds and told apart by the colour-blind.
CAUSE_COLOURS = ("#2f6bd8", "#dd7415", "#12805a", "#8b5cc7", "#b8860b", "#0e8ba0", "#c2557a", "#6b7f2a")
UNEXPLAINED, OTHERS = "#98a2b3", "#c6ccd6"
HEIGHT = 300


def cause_colours(causes: Sequence[str]) -> dict[str, str]:
    """Give each cause its colour, by rank; what is beyond the last one is drawn as the other causes are."""
    return dict(zip(dict.fromkeys(causes), CAUSE_COLOURS, strict=False))


def _colour(cause: str, colours: Mapping[str, str]) -> str:
    return colours.get(cause, UNEXPLAINED if cause == NOT_EXPLAINED else OTHERS)


def plain_figure(figure: go.Figure, height: int = HEIGHT) -> go.Figure:
    """Take away what says nothing; colours of text and ground come from Streamlit's theme."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 22, "b": 8},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"font": {"size": 13}},
        uirevision="kept",
    )
    figure.update_xaxes(showgrid=False, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(128,138,155,.18)", zeroline=False, automargin=True)
    return figure


def timeline(
    counts: pd.DataFrame, colours: Mapping[str, str], releases: Sequence[tuple[date, str]], chosen: str, unit: str
) -> go.Figure:
    """Draw rows per day, stacked by cause; dashed lines are releases.

    counts: columns day, cause, rows; what is not explained lies at the bottom, causes without a colour above it.
    """
    figure = go.Figure()
    plain = [cause for cause in counts["cause"].unique() if cause not in colours]
    order = [*sorted(plain, key=lambda cause: cause != NOT_EXPLAINED), *colours]
    for cause in order:
        own = counts[counts["cause"] == cause]
        if own.empty:
            continue
        figure.add_bar(
            x=own["day"],
            y=own["rows"],
            name=cause,
            marker={"color": _colour(cause, colours), "opacity": 1.0 if chosen in ("", cause) else 0.3},
            hovertemplate=f"%{{x|%d %b}}: %{{y}} {unit}, {cause}<extra></extra>",
        )
    for day, name in releases:
        figure.add_vline(x=str(day), line={"dash": "dot", "width": 1, "color": UNEXPLAINED})
        figure.add_annotation(
            x=str(day), y=1.0, yref="paper", text=name, showarrow=False, xanchor="left", yanchor="bottom", xshift=3
        )
    highest = counts.groupby("day")["rows"].sum().max()
    figure.update_yaxes(dtick=1 if highest <= 5 else None)  # rows are whole
    figure.update_layout(barmode="stack", bargap=0.12)
    return plain_figure(figure)


def failure_map(points: pd.DataFrame, colours: Mapping[str, str], chosen: str) -> go.Figure:
    """Draw each failure as a dot, near those that the modalities drove alike. points: columns x, y, id, cause, said."""
    figure = go.Figure()
    for cause in [c for c in points["cause"].unique() if c not in colours] + list(colours):
        own = points[points["cause"] == cause]
        if own.empty:
            continue
        figure.add_scatter(
            x=own["x"],
            y=own["y"],
            mode="markers",
            name=cause,
            customdata=np.column_stack([own["id"], own["said"]]),
            marker={
                "color": _colour(cause, colours),
                "size": 7,
                "opacity": 0.8 if chosen in ("", cause) else 0.15,
                "line": {"width": 0},
            },
            hovertemplate=f"%{{customdata[0]}}<br>%{{customdata[1]}}<br>{cause}<extra></extra>",
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return plain_figure(figure)


def confusion(table: pd.DataFrame) -> go.Figure:
    """Draw how often each true class was answered as each class, as shares of the true one. Rows: truth."""
    rows = table.sum(axis=1).replace(0, 1)
    shares = table.div(rows, axis=0)
    figure = go.Figure(
        go.Heatmap(
            z=shares.to_numpy(),
            x=list(table.columns),
            y=list(table.index),
            text=[
                [f"{share:.0%}<br>{count:,}" for share, count in zip(s, c, strict=True)]
                for s, c in zip(shares.to_numpy(), table.to_numpy(), strict=True)
            ],
            texttemplate="%{text}",
            colorscale=[[0.0, "rgba(47,107,216,0)"], [1.0, "rgba(47,107,216,.75)"]],
            zmin=0.0,
            zmax=1.0,
            showscale=False,
            hovertemplate="truth %{y}, answered %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title="truth")
    figure.update_xaxes(title="answered")
    return plain_figure(figure)


def reliability(bins: pd.DataFrame) -> go.Figure:
    """Draw accuracy over confidence in bins of equal mass. bins: columns confidence, accuracy, low, high, rows."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "width": 1, "color": UNEXPLAINED}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=bins["confidence"],
        y=bins["accuracy"],
        mode="lines+markers",
        line={"color": CAUSE_COLOURS[0], "width": 2},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": bins["high"] - bins["accuracy"],
            "arrayminus": bins["accuracy"] - bins["low"],
            "width": 0,
            "thickness": 1,
        },
        customdata=bins["rows"],
        hovertemplate="confidence %{x:.2f}: right %{y:.0%} of %{customdata}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1.02], title="confidence")
    figure.update_yaxes(range=[0, 1.05], title="share right")
    return plain_figure(figure)
