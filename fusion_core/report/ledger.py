"""The ledger as it is printed: bars with two standard errors, a sum that adds up, each modality alone and without."""

from __future__ import annotations

import math

import numpy as np

from fusion_core.report.case import CHANCE
from fusion_core.report.markup import Markup, card, joined, number, table, tag
from fusion_core.types import Ledger, Prediction, Reading, Trace
from fusion_core.words import ALONE_AND_WITHOUT, AT_CHANCE, ledger_caption, plain, present_in, printed_sum, say, signed


def ledger_card(trace: Trace) -> Markup:
    """Return what each modality contributed to the explained class, or why that cannot be said."""
    account = trace.ledger
    title = "What each modality contributed"
    numbers = [account.full, account.base, account.three_way or 0.0, *account.contributions.values()]
    if not np.isfinite([*numbers, *account.interactions.values()]).all():
        return card(title, tag("p", "No ledger: the logits are not finite numbers.", class_="sentence"))
    present = present_in(account)
    digits, total, full, base = printed_sum([account.contributions[m] for m in present], account.full, account.base)
    warning = tag("p", AT_CHANCE, class_="sentence") if trace.status == CHANCE else ""
    numbers_column = tag(
        "div",
        warning,
        tag("div", *_rows(account, digits), class_="entries"),
        _sum_line(account, digits, total, full, base),
        tag("p", ledger_caption(account, len(present)), class_="caption"),
    )
    each = tag(
        "div",
        tag("h4", "Alone and without"),
        table(("modality", "alone", "without it"), _readings(account, trace.prediction), "readings"),
        tag("p", ALONE_AND_WITHOUT, class_="caption"),
    )
    answers = bool(present) and trace.status != CHANCE
    caption = f"to “{account.target}” · {account.unit}"
    return card(title, tag("div", numbers_column, each if answers else "", class_="two"), caption=caption)


def _rows(account: Ledger, digits: int) -> list[Markup]:
    present = present_in(account)
    most = max(
        [1e-9]
        + [abs(value) + 2 * _error(account, m) for m, value in account.contributions.items()]
        + [abs(value) for value in account.interactions.values()]
        + [abs(account.three_way or 0.0)]
    )
    rows = [
        _modality(m, value, account, digits, most) if m in present else _absent(m)
        for m, value in account.contributions.items()
    ]
    between = [(" × ".join(say(m) for m in pair.split("+")), value) for pair, value in account.interactions.items()]
    if account.three_way is not None:
        between.append(("all three", account.three_way))
    rows += [_entry(name, value, 0.0, min(digits, 2), most, "interaction") for name, value in between]
    return rows


def _error(account: Ledger, modality: str) -> float:
    """Return a modality's standard error, 0 where there is none."""
    error = account.standard_errors.get(modality)
    return error if error is not None and math.isfinite(error) else 0.0


def _absent(modality: str) -> Markup:
    return tag(
        "div",
        tag("span", say(modality), class_="name"),
        tag("span", class_="bar"),
        tag("span", "absent", class_="muted amount"),
        tag("span"),
        class_="entry",
    )


def _modality(modality: str, value: float, account: Ledger, digits: int, most: float) -> Markup:
    error = _error(account, modality)
    unclear = bool(error) and abs(value) <= 2 * error
    row = _entry(say(modality), value, error, digits, most, "modality unclear" if unclear else "modality")
    return joined(row, tag("p", "not distinguishable from 0", class_="caption doubt")) if unclear else row


def _entry(name: str, value: float, error: float, digits: int, most: float, kind: str) -> Markup:
    spread = f"± {2 * error:.{min(digits, 2)}f}" if error else ""
    return tag(
        "div",
        tag("span", name, class_="name"),
        _bar(value, error, most),
        tag("span", number(value, signed(value, digits)), class_="amount"),
        tag("span", spread, class_="spread"),
        class_=f"entry {kind}",
    )


def _bar(value: float, error: float, most: float) -> Markup:
    """Return a bar from the middle and, over it, a whisker of two standard errors to both sides."""

    def at(amount: float) -> str:
        return f"{50 + 49 * amount / most:.2f}%"

    def long(amount: float) -> str:
        return f"{49 * abs(amount) / most:.2f}%"

    side = "for" if value >= 0 else "against"
    shapes = [
        tag("line", x1="50%", x2="50%", y1=0, y2=20, class_="zero"),
        tag("rect", x=at(min(0.0, value)), y=5, width=long(value), height=10, rx=3, class_=side),
    ]
    if error:
        low, high = at(value - 2 * error), at(value + 2 * error)
        shapes.append(tag("line", x1=low, x2=high, y1=10, y2=10, class_="whisker"))
        shapes += [tag("line", x1=end, x2=end, y1=6, y2=14, class_="whisker") for end in (low, high)]
    return tag("svg", *shapes, class_="bar", height=20, aria_hidden="true")


def _sum_line(account: Ledger, digits: int, total: float, full: float, base: float) -> Markup:
    parts = [signed(account.contributions[m], digits) for m in present_in(account)]
    below = plain(base, digits)
    return tag(
        "p",
        f"Sum {_joint(parts)} = ",
        tag("strong", plain(total, digits)),
        " = full ",
        number(account.full, plain(full, digits)),
        " − base ",
        number(account.base, f"({below})" if below.startswith("−") else below),
        class_="sum",
    )


def _joint(parts: list[str]) -> str:
    """Join signed numbers as they are read: a sign between two, none before the first unless it is a minus."""
    if not parts:
        return "of nothing"
    rest = (f" − {part[1:]}" if part.startswith("−") else f" + {part.removeprefix('+')}" for part in parts[1:])
    return parts[0].removeprefix("+") + "".join(rest)


def _readings(account: Ledger, answer: Prediction) -> list[tuple[str, ...]]:
    return [
        (say(m), _reading(account.alone.get(m), answer.label), _reading(account.without.get(m), answer.label))
        for m in present_in(account)
    ]


def _reading(reading: Reading | None, label: str | None) -> str:
    if reading is None or not math.isfinite(reading.probability):
        return "–"
    mark, tone = ("✓", "good") if reading.top == label else ("✗", "bad")
    beside = joined(" ", tag("span", mark, class_=tone)) if label is not None else ""
    return joined(reading.top, " ", number(reading.probability, plain(reading.probability, 2)), beside)
