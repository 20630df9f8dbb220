"""What another strategy would have changed: failures it fixes, right answers it breaks, and the records, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from fusion_core.compare.significance import against, corrected

from dashboard.views.compare import bounds, interval, p_words, said
from dashboard.views.escape import markdown_safe
from dashboard.views.labels import cut
from dashboard.views.ledger import plain, signed
from fusion_core.compare.result import Against, Measured
from fusion_core.reading.texts import show_text
from fusion_core.types import Record
from fusion_core.words import say

KINDS = {"fixed": "fixed by it", "broken": "broken by it", "both": "wrong under both"}
CLEAR = 0.05
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Outcome:
    """Another strategy on the records in view. p: corrected for all the strategies that were tried (Holm)."""

    strategy: str
    against: Against
    p: float

    @property
    def better(self) -> bool:
        """Whether it is clearly better than today's."""
        return self.against.difference.low > 0 and self.p < CLEAR


@dataclass(frozen=True)
class View:
    """Which records are in view: those with this truth, today's answer, and value of a column; "" for all."""

    label: str = ""
    answered: str = ""
    column: str = ""
    value: str = ""


def by_record(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of labelled records, one row each: label, then each strategy's answer; an error is none."""
    known = answers[answers["label"].notna() & answers["strategy"].notna()]
    wide = known.pivot_table(index="id", columns="strategy", values="prediction", aggfunc="first", sort=False)
    return wide.assign(label=known.groupby("id", sort=False)["label"].first())


def in_view(wide: pd.DataFrame, today: str, view: View, records: Mapping[str, Record]) -> pd.DataFrame:
    """Return the records in view."""
    kept = np.ones(len(wide), dtype=bool)
    if view.label:
        kept &= (wide["label"] == view.label).to_numpy()
    if view.answered:
        kept &= (wide[today] == view.answered).to_numpy()
    if view.column:
        kept &= np.array([_value(records.get(str(id)), view.column) == view.value for id in wide.index], dtype=bool)
    return wide[kept]


def _value(record: Record | None, column: str) -> str:
    return str(record.meta.get(column, "")) if record is not None else ""


def columns_of(records: Sequence[Record], most: int = 20) -> dict[str, list[str]]:
    """Return the columns that records can be told apart by, with their values: few ones, and more than one."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.meta.items():
            found.setdefault(name, set()).add(str(value))
    return {name: sorted(values) for name, values in found.items() if 1 < len(values) <= most}


def outcomes(wide: pd.DataFrame, today: str, strategies: Sequence[str]) -> list[Outcome]:
    """Set each other strategy against today's on the records in view, the one that gains most first."""
    others = [name for name in strategies if name != today and name in wide]
    if today not in wide or wide.empty:
        return []
    base = (wide[today] == wide["label"]).to_numpy()
    found = [against((wide[name] == wide["label"]).to_numpy(), base, today) for name in others]
    ps = corrected([one.p for one in found])
    made = [Outcome(name, one, p) for name, one, p in zip(others, found, ps, strict=True)]
    return sorted(made, key=lambda one: -(one.against.fixes - one.against.breaks))


def recommendation(found: Sequence[Outcome], today: str, paces: Mapping[str, float]) -> str:
    """Return in one sentence what follows, with its numbers, as Markdown."""
    if not found:
        return "There is no other strategy to compare with."
    best = found[0]
    failures = best.against.failures
    if not failures:
        return f"{say(today).capitalize()} answers all of these records rightly: there is nothing to fix."
    change = f"fixes {best.against.fixes:,} of {failures:,} failures and breaks {best.against.breaks:,}"
    evidence = f"accuracy {_plain(best.against.difference)}, {p_words(best.p)} corrected for {len(found)} strategies"
    if best.better:
        return f"**{say(best.strategy)}** {change}{_costs(best.strategy, today, paces)} ({evidence})."
    return (
        f"**Stay with {say(today)}**: no other strategy is clearly better on these records. The best of them, "
        f"{say(best.strategy)}, {change} ({evidence})."
    )


def _plain(figure: Measured) -> str:
    return f"{signed(figure.value, 2)} ({plain(figure.low, 2)} to {plain(figure.high, 2)})"


def _costs(name: str, today: str, paces: Mapping[str, float]) -> str:
    if name not in paces or today not in paces:
        return ""
    more = paces[name] - paces[today]
    return f"; it costs {abs(more):.1f} ms {'more' if more >= 0 else 'less'} per record"


def outcomes_html(found: Sequence[Outcome], today: str, chosen: str, paces: Mapping[str, float]) -> str:
    """Return the strategies with what each fixes and breaks."""
    low, high = bounds([one.against.difference for one in found], zero=True)
    rows = "".join(_row(one, low, high, one.strategy == chosen, today, paces) for one in found)
    head = "".join(f"<th>{name}</th>" for name in ("strategy", "fixes", "breaks", "accuracy gained", "", "ms more"))
    return f'<div class="wide"><table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(one: Outcome, low: float, high: float, chosen: bool, today: str, paces: Mapping[str, float]) -> str:
    own = one.against
    more = signed(paces[one.strategy] - paces[today], 1) if one.strategy in paces and today in paces else ""
    cells = (
        f"<b>{escape(say(one.strategy))}</b>",
        f"{own.fixes:,} <small>of {own.failures:,}</small>",
        f"{own.breaks:,}",
        f"{interval(own.difference, low, high, 0.0)} {said(own.difference, sign=True)}",
        f"<small>{p_words(one.p)}</small>",
        more,
    )
    return f"<tr{' class=today' if chosen else ''}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def changed_ids(wide: pd.DataFrame, today: str, other: str, kind: str) -> list[str]:
    """Return the records that another strategy fixes, breaks, or gets wrong too, in their order."""
    base, own = wide[today] == wide["label"], wide[other] == wide["label"]
    kept = {"fixed": ~base & own, "broken": base & ~own, "both": ~base & ~own}[kind]
    return [str(id) for id in wide.index[kept]]


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


def view_words(view: View) -> str:
    """Return which records are in view, as Markdown."""
    parts = [f"truth {markdown_safe(view.label)}"] if view.label else []
    parts += [f"answered {markdown_safe(view.answered)}"] if view.answered else []
    parts += [f"{markdown_safe(view.column)} {markdown_safe(view.value)}"] if view.column else []
    return ", ".join(parts) or "all labelled records"
