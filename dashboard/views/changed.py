"""What another strategy would have changed: which failures are in view, and the changed records as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from dashboard.views.compare import bounds, interval, p_words, said
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import cut
from dashboard.views.ledger import signed
from fusion_core.compare.changed import Change
from fusion_core.compare.result import StrategyCost
from fusion_core.reading.texts import show_text
from fusion_core.types import Record
from fusion_core.words import say

KINDS = {"fixed": "fixed by it", "broken": "broken by it", "both": "wrong under both"}
LONGEST_TEXT = 200


@dataclass(frozen=True)
class View:
    """Which failures are in view: those with this truth, today's answer, and value of a column; "" for all."""

    label: str = ""
    answered: str = ""
    column: str = ""
    value: str = ""


def by_record(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of labelled records, one row each: label, then each strategy's answer; an error is none."""
    known = answers[answers["label"].notna() & answers["strategy"].notna()]
    wide = known.pivot(index="id", columns="strategy", values="prediction")
    return wide.reindex(known["id"].unique()).assign(label=known.groupby("id")["label"].first())


def in_view(wide: pd.DataFrame, today: str, view: View, records: Mapping[str, Record]) -> list[str]:
    """Return the ids of today's failures that are in view."""
    kept = (wide[today] != wide["label"]).to_numpy() & wide[today].notna().to_numpy()
    if view.label:
        kept &= (wide["label"] == view.label).to_numpy()
    if view.answered:
        kept &= (wide[today] == view.answered).to_numpy()
    if view.column:
        kept &= np.array([_value(records.get(str(id)), view.column) == view.value for id in wide.index], dtype=bool)
    return [str(id) for id in wide.index[kept]]


def _value(record: Record | None, column: str) -> str:
    return str(record.meta.get(column, "")) if record is not None else ""


def columns_of(records: Sequence[Record], most: int = 20) -> dict[str, list[str]]:
    """Return the columns that records can be told apart by, with their values: few ones, and more than one."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.meta.items():
            found.setdefault(name, set()).add(str(value))
    return {name: sorted(values) for name, values in found.items() if 1 < len(values) <= most}


def view_words(view: View) -> str:
    """Return which failures are in view, as Markdown; "" for all."""
    parts = [f"truth {markdown_safe(view.label)}"] if view.label else []
    parts += [f"answered {markdown_safe(view.answered)}"] if view.answered else []
    parts += [f"{markdown_safe(view.column)} {markdown_safe(view.value)}"] if view.column else []
    return ", ".join(parts)


def changes_html(found: Sequence[Change], chosen: str, costs: Mapping[str, StrategyCost]) -> str:
    """Return the other strategies with what each fixes and breaks."""
    low, high = bounds([one.difference for one in found], zero=True)
    rows = "".join(_row(one, low, high, one.other == chosen, costs) for one in found)
    head = "".join(f"<th>{name}</th>" for name in ("strategy", "fixes", "breaks", "accuracy gained", "p", "ms more"))
    return f'<div class="wide"><table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(one: Change, low: float, high: float, chosen: bool, costs: Mapping[str, StrategyCost]) -> str:
    known = one.other in costs and one.strategy in costs
    more = signed(costs[one.other].milliseconds - costs[one.strategy].milliseconds, 1) if known else ""
    cells = (
        f"<b>{escape(say(one.other))}</b>",
        f"{len(one.fixes):,} <small>of {one.failures:,}</small>",
        f"{len(one.breaks):,}",
        f"{interval(one.difference, low, high, 0.0)} {said(one.difference, 3, sign=True)}",
        f"<small>{escape(p_words(one.p).removeprefix('p '))}</small>",
        more,
    )
    return f"<tr{' class=today' if chosen else ''}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def changed_ids(one: Change, failures: Sequence[str]) -> dict[str, list[str]]:
    """Return the failures in view that another strategy fixes, the records it breaks, and those wrong under both."""
    fixed = set(one.fixes)
    return {
        "fixed": [id for id in failures if id in fixed],
        "broken": list(one.breaks),
        "both": [id for id in failures if id not in fixed],
    }


def changed_table(
    ids: Sequence[str],
    wide: pd.DataFrame,
    today: str,
    other: str,
    records: Mapping[str, Record],
    pictures: Sequence[str | None],
) -> pd.DataFrame:
    """Return records as the table takes them; text that came with data is made visible, not interpreted."""
    rows = wide.loc[list(ids)]
    table = {
        "image": list(pictures),
        "text": [show_text(cut(records[id].text or "", LONGEST_TEXT)) if id in records else "" for id in ids],
        f"today: {say(today)}": [_answer(one) for one in rows[today]],
        f"then: {say(other)}": [_answer(one) for one in rows[other]],
        "truth": [show_text(str(one)) for one in rows["label"]],
        "id": [show_text(id) for id in ids],
    }
    if not any(pictures):
        del table["image"]
    return pd.DataFrame(table)


def _answer(one: object) -> str:
    return show_text(one) if isinstance(one, str) else "no answer"
