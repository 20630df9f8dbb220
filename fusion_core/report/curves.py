"""Is a map true? Its badge, the deletion and insertion curves over the band of random orders, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.report.markup import Markup, joined, number, table, tag
from fusion_core.types import Curve, Faithfulness
from fusion_core.words import BADGES, plain, say, signed

MARKS = {"trusted": ("✓", "good"), "weak": ("∼", "muted"), "random": ("✗", "bad")}
MOVE = {"deletion": "removed", "insertion": "put back"}
WANTED = {"deletion": "below the band is better", "insertion": "above the band is better"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 300, 130, 34, 8, 30, 8


def badge(found: Sequence[Faithfulness]) -> Markup:
    """Return what judging a map came to, in one word; a map nobody judged says so."""
    if not found:
        return tag("span", "not tested", class_="badge muted")
    mark, tone = MARKS[found[0].badge]
    return tag("span", f"{mark} {BADGES[found[0].badge]}", class_=f"badge {tone}")


def judged(found: Sequence[Faithfulness]) -> Markup:
    """Return the badge with its sentence, the curves of all tokens, and the numbers of every scope."""
    if not found:
        return tag("p", badge(found), class_="check")
    whole = found[0]
    charts = [_chart("deletion", whole.deletion, whole.orders), _chart("insertion", whole.insertion, whole.orders)]
    return tag(
        "div",
        tag("p", badge(found), tag("span", whole.sentence, class_="caption"), class_="check"),
        tag("div", *charts, class_="charts"),
        table(COLUMNS, [_scope(one) for one in found], "scopes"),
        class_="judged",
    )


COLUMNS = ("tokens moved", "badge", "deletion [random]", "insertion [random]", "comprehensiveness", "sufficiency",
           "sensitivity-n")  # fmt: skip


def _scope(found: Faithfulness) -> tuple[str, ...]:
    return (
        "all modalities" if found.scope == "all" else say(found.scope),
        badge([found]),
        _area(found.deletion),
        _area(found.insertion),
        number(found.comprehensiveness, signed(found.comprehensiveness, 2)),
        number(found.sufficiency, signed(found.sufficiency, 2)),
        "not defined" if found.sensitivity is None else number(found.sensitivity, plain(found.sensitivity, 2)),
    )


def _area(curve: Curve) -> Markup:
    band = f" [{plain(curve.area_low, 2)}, {plain(curve.area_high, 2)}]"
    return joined(number(curve.area, plain(curve.area, 2)), band)


def _chart(name: str, curve: Curve, orders: int) -> Markup:
    """Return one curve over the band of random orders; logits upwards, share of tokens moved to the right."""
    every = [*curve.values, *curve.low, *curve.high]
    least, most = float(min(every)), float(max(every))

    def point(moved: float, value: float) -> str:
        x = LEFT + moved * (WIDTH - LEFT - RIGHT)
        y = TOP + (most - value) / max(1e-9, most - least) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    def points(values: np.ndarray) -> list[str]:
        return [point(moved, value) for moved, value in zip(curve.moved, values, strict=True)]

    area, band = plain(curve.area, 2), f"{plain(curve.area_low, 2)} to {plain(curve.area_high, 2)}"
    ground, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    picture = tag(
        "svg",
        tag("polygon", points=" ".join(points(curve.low) + points(curve.high)[::-1]), class_="band"),
        tag("line", x1=LEFT, x2=right, y1=ground, y2=ground, class_="axis"),
        tag("polyline", points=" ".join(points(curve.values)), class_="curve"),
        tag("text", plain(most, 1), x=LEFT - 5, y=TOP + 4, text_anchor="end"),
        tag("text", plain(least, 1), x=LEFT - 5, y=ground + 4, text_anchor="end"),
        tag("text", "0", x=LEFT, y=HEIGHT - 16),
        tag("text", "all", x=right, y=HEIGHT - 16, text_anchor="end"),
        tag("text", f"share of tokens {MOVE[name]}", x=(LEFT + WIDTH) / 2, y=HEIGHT - 3, text_anchor="middle"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{name}: mean height {area}, {orders} random orders {band}",
    )
    words = f"mean height {area} logits, {orders} random orders {band}; {WANTED[name]}"
    return tag("figure", tag("figcaption", name), picture, tag("p", words, class_="caption"), class_="chart")
