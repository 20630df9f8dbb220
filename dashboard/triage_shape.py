"""The shape of what is asked for: where failures lie, what is taken for what, how surely, and in which slices."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.desk import SLICED, Desk, OpenRecord, selection
from dashboard.views import charts
from dashboard.views.triage import confusion_table, slice_table
from fusion_core.words import cause_words


def shape_card(desk: Desk, open_record: OpenRecord) -> None:
    """Show how the failures lie, what is taken for what, how far confidence can be believed, and slices."""
    names = ["Failure map", *(["Confusion", "Calibration"] if desk.labelled else []), "Slices"]
    for name, tab in zip(names, st.tabs(names, key="shape", on_change="rerun"), strict=True):
        with tab:
            if tab.open:
                {"Failure map": _map, "Confusion": _confusion, "Calibration": _calibration, "Slices": _slices}[name](
                    desk, open_record
                )


def _map(desk: Desk, open_record: OpenRecord) -> None:
    points = desk.ask("failure_points", replace(desk.asked, page=0))
    if points.empty:
        st.caption("None of the rows asked for is on the map: it is drawn when a log is diagnosed, of its failures.")
        return
    groups = points.loc[points["cluster"] >= 0, "cluster"].nunique()
    points["cause"] = [cause_words(cause) for cause in points["cause"]]
    key = f"map {desk.turn}"

    def clicked() -> None:
        ids = [str(point["customdata"][0]) for point in selection(key, "points") if point.get("customdata")]
        if ids:
            open_record(ids[0])

    figure = charts.failure_map(points, desk.colours, cause_words(desk.asked.cause) if desk.asked.cause else "")
    st.plotly_chart(figure, key=key, on_select=clicked, selection_mode=("points",))
    st.caption(
        f"{len(points):,} failures, each near those that the modalities drove alike (t-SNE of contributions and fused "
        f"vectors; {groups} dense groups by HDBSCAN). Distances between groups mean nothing. A click opens one."
    )


def _confusion(desk: Desk, open_record: OpenRecord) -> None:
    table = confusion_table(desk.ask("confusion", desk.asked.all_rows()), desk.run.classes)
    if not table.to_numpy().sum():
        st.caption("None of the rows asked for has a label.")
        return
    st.plotly_chart(charts.confusion(table), key="confusion")
    st.caption(f"Shares of each true class, over {int(table.to_numpy().sum()):,} labelled rows, right ones too.")


def _calibration(desk: Desk, open_record: OpenRecord) -> None:
    found = desk.ask("calibration", desk.asked.all_rows())
    if not found.labelled:
        st.caption("None of the rows asked for has a label.")
        return
    st.plotly_chart(charts.reliability(found.bins), key="calibration")
    st.caption(
        f"{found.labelled:,} labelled rows in {len(found.bins)} bins of about equal size, 95 % Wilson intervals; "
        f"expected calibration error {found.error:.3f}. Below the dotted line the model is surer than it is right."
    )


def _slices(desk: Desk, open_record: OpenRecord) -> None:
    columns = list(dict.fromkeys((*SLICED, *desk.slices)))
    column = st.selectbox("Column", columns, key="slice column", label_visibility="collapsed")
    every = desk.ask("by_slice", desk.asked.all_rows(), column)
    named = desk.ask("by_slice", replace(desk.asked, rows="caused", page=0), column)
    if every.empty:
        st.caption("No row is asked for.")
        return
    table = slice_table(every, named, desk.labelled)
    key = f"slices {column} {desk.turn}"

    def clicked() -> None:
        chosen = selection(key, "rows")
        if chosen and desk.slices.get(column) != "number":
            value = every["value"].iloc[int(str(chosen[0]))]
            value = value if isinstance(value, str) else ""
            desk.change(replace(desk.asked, where={**desk.asked.where, column: value}, page=0))

    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=clicked,
        selection_mode="single-row",
        column_config={
            "with a cause": st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="percent"),
            "accuracy": st.column_config.NumberColumn(format="%.2f"),
            "error lift": st.column_config.NumberColumn(format="×%.1f", help="errors against all other values"),
        },
    )
    st.caption("Over right answers too. A click on a line shows only its rows.")
