"""The live chart of a fit: one line per strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard.views.charts import CAUSE_COLOURS, UNEXPLAINED, plain_figure
from dashboard.views.labels import say
from fusion_core.fit_plan import Pass
from fusion_core.words import LEVELS

#: One colour per strategy, the same in every fit; beyond the eighth they begin anew, dashed.
ORDER = tuple(LEVELS)
HEIGHT = 280


def curves(by_strategy: Mapping[str, Sequence[Pass]], chance: float | None, measure: str) -> go.Figure:
    """Draw accuracy on held-out records after every pass. chance: share of the commonest class, None: not drawn."""
    figure = go.Figure()
    longest = max((len(passes) for passes in by_strategy.values()), default=1)
    for name, passes in by_strategy.items():
        place = ORDER.index(name) if name in ORDER else len(ORDER)
        figure.add_scatter(
            x=list(range(1, len(passes) + 1)),
            y=[one.accuracy for one in passes],
            mode="lines+markers",
            name=say(name),
            line={
                "color": CAUSE_COLOURS[place % len(CAUSE_COLOURS)],
                "width": 2,
                "dash": "solid" if place < len(CAUSE_COLOURS) else "dash",
            },
            marker={"size": 5},
            customdata=[one.loss for one in passes],
            hovertemplate=f"{say(name)}, pass %{{x}}: {measure} %{{y:.3f}}, loss %{{customdata:.3f}}<extra></extra>",
        )
    if chance is not None:
        figure.add_hline(y=chance, line={"dash": "dot", "width": 1, "color": UNEXPLAINED})
        figure.add_annotation(
            x=1, xref="paper", y=chance, text="chance", showarrow=False, yanchor="bottom", font={"size": 11}
        )
    figure.update_xaxes(title="pass", range=[0.6, max(longest, 4) + 0.4], dtick=1 if longest <= 12 else None)
    figure.update_yaxes(title=measure, tickformat=".2f")
    plain_figure(figure, HEIGHT)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.28, "x": 0, "font": {"size": 12}})
    return figure
