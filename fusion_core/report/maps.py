"""Scores over the tokens: words in shades, cells over the image, a strip of frames under the waveform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusion_core.report.case import Photo, Sound
from fusion_core.report.markup import Markup, joined, tag
from fusion_core.report.pictures import STRIP, TALLEST, WAVE, WIDE, photo, ticks, waveform
from fusion_core.types import MODALITIES, TokenAxis
from fusion_core.words import cut, decimals, plain, say, signed

LONGEST_WORD = 60  # characters
SHADES = 10
FAINTEST = 0.02


@dataclass(frozen=True)
class Look:
    """What is drawn over the tokens, `values[m] [T_m]`, and the value of full colour.

    kind: signed logits of an `attribution`, or `attention` as multiples of an even share, of which what is above 1 is
    coloured. grey: the map ranks tokens no better than chance.
    """

    kind: Literal["attribution", "attention"]
    values: Mapping[str, np.ndarray]
    most: float
    grey: bool = False

    def alpha(self, value: float) -> float:
        """Return how strongly a value is coloured, 0 to 1."""
        if not np.isfinite(value):
            return 0.0
        strength = (value - 1) / max(1e-9, self.most - 1) if self.kind == "attention" else abs(value) / self.most
        return float(min(1.0, max(0.0, strength)))

    def side(self, value: float) -> str:
        """Return the class of a value's colour."""
        return "grey" if self.grey else "against" if value < 0 else "for"

    def words(self, value: float) -> str:
        """Print a value with its sign or as a multiple."""
        if not np.isfinite(value):
            return "no finite score"
        if self.kind == "attention":
            return f"{plain(value, 1)}×"
        return signed(value, decimals(self.most))


def lanes(
    look: Look,
    axes: Mapping[str, TokenAxis],
    reads: tuple[str, ...],
    picture: Photo | None,
    sound: Sound | None,
    tallest: int = TALLEST,
) -> Markup:
    """Return one lane per modality the model reads; one that the record has not says so."""
    drawn = []
    for m in (m for m in MODALITIES if m in reads):
        axis, values = axes.get(m), look.values.get(m)
        if axis is None:
            inside = tag("p", f"no {say(m)} in this record", class_="empty")
        elif values is None:
            inside = tag("p", f"this map says nothing of {say(m)}", class_="empty")
        else:
            inside = _lane(look, axis, values, picture, sound, tallest)
        drawn.append(tag("div", _head(m, look, axis, values), inside, class_=f"lane {m}-lane"))
    return joined(tag("div", *drawn, class_="lanes"), _every_score(look, axes))


def _head(modality: str, look: Look, axis: TokenAxis | None, values: np.ndarray | None) -> Markup:
    """Return a lane's name and how many tokens it has; where none is coloured, that is said, not left to be seen."""
    fact = ""
    if axis is not None:
        grid = f"{axis.grid[0]} × {axis.grid[1]} cells" if axis.grid else ""
        fact = grid or f"{len(axis.labels)} {axis.kind}"
    if values is not None and not any(look.alpha(float(v)) >= FAINTEST for v in values):
        fact += " · nothing above an even share" if look.kind == "attention" else " · nothing scored"
    return tag("p", tag("b", say(modality)), tag("span", fact, class_="caption"), class_="lane-head")


def _lane(
    look: Look, axis: TokenAxis, values: np.ndarray, picture: Photo | None, sound: Sound | None, tallest: int
) -> Markup:
    if picture is not None and axis.kind == "patches":
        over = joined(*_cells(look, axis, values))
        return photo(
            picture,
            f"scores over the image, {len(values)} cells",
            over or tag("title", "nothing stands out"),
            tallest=tallest,
        )
    if sound is not None and axis.kind == "frames":
        frames = _frames(look, axis, values, sound.seconds)
        label = f"scores of {len(values)} frames under the waveform"
        return joined(waveform(sound, label, *frames), ticks(sound))
    return _words(look, axis, values)


def _words(look: Look, axis: TokenAxis, values: np.ndarray) -> Markup:
    return tag("p", *(_word(look, word, float(v)) for word, v in zip(axis.labels, values, strict=True)), class_="words")


def _word(look: Look, word: str, value: float) -> Markup:
    alpha = look.alpha(value)
    shade = f" {look.side(value)} s{max(1, round(alpha * SHADES))}" if alpha > FAINTEST else ""
    told = alpha >= (0.1 if look.kind == "attention" else 0.04)
    beside = tag("small", look.words(value)) if told else tag("small")
    return joined(tag("span", cut(word, LONGEST_WORD), beside, class_=f"word{shade}"), " ")


def _cells(look: Look, axis: TokenAxis, values: np.ndarray) -> list[Markup]:
    """Return a rectangle per image cell, its opacity its score; pointed at, it says where it is and its number."""
    found = []
    for index, (span, value) in enumerate(zip(axis.spans, map(float, values), strict=True)):
        alpha = look.alpha(value)
        if alpha >= FAINTEST:
            x0, y0, x1, y1 = span
            about = tag("title", f"{_place(axis, index)} {look.words(value)}")
            opacity, side = round(0.74 * alpha, 3), f"over-{look.side(value)}"
            found.append(
                tag("rect", about, x=x0, y=y0, width=x1 - x0, height=y1 - y0, fill_opacity=opacity, class_=side)
            )
    return found


def _frames(look: Look, axis: TokenAxis, values: np.ndarray, seconds: float) -> list[Markup]:
    ground = tag("rect", x=0, y=WAVE, width=WIDE, height=STRIP, class_="ground")
    found = [ground]
    for index, ((start, end), value) in enumerate(zip(axis.spans, map(float, values), strict=True)):
        alpha = look.alpha(value)
        left, right = (WIDE * min(at, seconds) / seconds for at in (start, end))
        if alpha >= FAINTEST and right > left:
            about = tag("title", f"{_place(axis, index)} {look.words(value)}")
            opacity, side = round(0.9 * alpha, 3), look.side(value)
            found.append(
                tag("rect", about, x=left, y=WAVE, width=right - left, height=STRIP, fill_opacity=opacity, class_=side)
            )
    return found


def _place(axis: TokenAxis, index: int) -> str:
    if axis.kind == "words":
        return f"“{cut(axis.labels[index], LONGEST_WORD)}”"
    if axis.kind == "frames":
        start, end = axis.spans[index]
        return f"{plain(start, 2)}–{plain(end, 2)} s"
    if axis.grid is None:
        return axis.labels[index]
    return f"row {index // axis.grid[1] + 1}, column {index % axis.grid[1] + 1}"


def strongest(look: Look, axes: Mapping[str, TokenAxis], most: int = 3) -> str:
    """Name the tokens that stand out most, those for the class and those against it apart."""
    ranked = [
        (
            float(value),
            f"{say(m) + ' ' if axes[m].kind != 'words' else ''}{_place(axes[m], i)} {look.words(float(value))}",
        )
        for m, values in look.values.items()
        if m in axes
        for i, value in enumerate(values)
        if np.isfinite(value)
    ]
    ranked.sort(key=lambda one: -one[0])
    if look.kind == "attention":
        return "Most: " + "; ".join(words for _, words in ranked[:most])
    above = [words for value, words in ranked if value > 0][:most]
    below = [words for value, words in ranked[::-1] if value < 0][:most]
    return f"Most for: {'; '.join(above) or 'nothing'}. Most against: {'; '.join(below) or 'nothing'}."


def _every_score(look: Look, axes: Mapping[str, TokenAxis]) -> Markup:
    """Return all numbers behind the colours, folded away."""
    lines = [
        tag("p", tag("b", f"{say(m)}: "), " · ".join(_numbers(look, axes[m], values)))
        for m, values in look.values.items()
        if m in axes
    ]
    return tag("details", tag("summary", "every score"), *lines, class_="caption")


def _numbers(look: Look, axis: TokenAxis, values: np.ndarray) -> list[str]:
    unit = "×" if look.kind == "attention" else ""
    sign = plain if look.kind == "attention" else signed
    return [
        f"{_place(axis, i)} {sign(float(v), 4) + unit if np.isfinite(v) else 'no finite score'}"
        for i, v in enumerate(values)
    ]
