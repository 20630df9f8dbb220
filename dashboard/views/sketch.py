"""A small map of where a strategy looks at one record, as HTML: cells over the picture, words, and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from dashboard.views.labels import cut, say
from fusion_core.reading.texts import show_text
from fusion_core.types import Attribution, TokenAxis, Trace
from fusion_core.verify.sums import completeness

WORDS = 4
LONGEST_WORD = 14
COLUMNS = 24
FAINT = 0.12  # of the strongest, below which nothing is drawn
STRONGEST = 0.72  # opacity
FLAT = 4.0  # times an even share that a strongest token needs for its full colour: a flat map stays pale
VIEWS = ("relevancy", "rollout", "raw")  # of attention, the first there is


@dataclass(frozen=True)
class Look:
    """One map to draw: token scores `[T_m]` per modality, in -1..1 of full colour, and as they are printed.

    A modality's strongest token has the full colour, and its figure beside it: what is small must still be seen.

    name: what kind of map it is. check: whether it can be believed, short; sentence: the same, in full.
    """

    name: str
    shades: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
    unit: str
    check: str
    sentence: str


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data URI, and the size in the pixels that boxes count."""

    uri: str
    width: int
    height: int


def look_of(trace: Trace, target: str) -> Look | None:
    """Return the map of a class: of attention where the strategy has any for it, else the attribution; None without."""
    views = [view for method in VIEWS for view in trace.scores if view.method == method]
    if views and target == trace.target and trace.prediction.top == target:
        return _attention(trace, views[0].method, views[0].target, views[0].scores)
    for found in trace.attributions:
        if found.target == target:
            return _attribution(found)
    return None


def _attention(trace: Trace, method: str, target: str | None, scores: Mapping[str, np.ndarray]) -> Look:
    known = {m: np.nan_to_num(np.asarray(s, dtype=float)) for m, s in scores.items()}
    whole = sum(float(s.sum()) for s in known.values()) or 1.0
    even = 1.0 / max(1, sum(len(s) for s in known.values()))
    lifts = {m: s / whole / even for m, s in known.items()}
    most = {m: max(FLAT, float(s.max(initial=0.0))) for m, s in lifts.items()}
    shades = {m: np.clip((s - 1.0) / (most[m] - 1.0), 0.0, 1.0) for m, s in lifts.items()}
    matters = next((check for check in trace.checks if check.name == "attention_matters"), None)
    said = "" if matters is None else "✓ it matters here" if matters.passed else "✗ it does not change this answer"
    of = f" to “{cut(show_text(target), 16)}”" if target else ""
    return Look(f"attention, {say(method)}{of}", shades, lifts, "×", said, matters.sentence if matters else "")


def _attribution(found: Attribution) -> Look:
    known = {m: np.nan_to_num(np.asarray(s, dtype=float)) for m, s in found.scores.items()}
    most = {m: float(np.abs(s).max(initial=0.0)) or 1.0 for m, s in known.items()}
    summed = completeness(found)
    mark = {True: "✓ ", False: "✗ ", None: ""}[summed.passed] if summed else ""
    said = f"{mark}sum is off by {100 * found.error:.1f} %" if found.error is not None else ""
    name = f"attribution, {say(found.method)} to “{cut(show_text(found.target), 16)}”"
    return Look(name, {m: s / most[m] for m, s in known.items()}, known, "", said, summed.sentence if summed else "")


def picture(look: Look, axis: TokenAxis | None, thumbnail: Picture | None) -> str:
    """Return the cells of a map over the picture; "" where the record has none."""
    shades = look.shades.get("image")
    if axis is None or thumbnail is None:
        return ""
    boxes, peak = "", ""
    if shades is not None and len(axis.spans) == len(shades) and len(shades):
        spans = np.asarray(axis.spans, dtype=float) / ((thumbnail.width, thumbnail.height) * 2)
        for (x0, y0, x1, y1), shade in zip(spans, shades, strict=True):
            if abs(shade) >= FAINT:
                place = f"left:{100 * x0:.1f}%;top:{100 * y0:.1f}%"
                size = f"width:{100 * (x1 - x0):.1f}%;height:{100 * (y1 - y0):.1f}%"
                opacity = STRONGEST * min(1.0, abs(shade))
                boxes += f'<i class="{_tone(shade)}" style="{place};{size};opacity:{opacity:.2f}"></i>'
        peak = f'<span title="the strongest cell">{_figure(look, "image", int(np.argmax(np.abs(shades))))}</span>'
    alt = "the picture, with the cells it looks at"
    return f'<div class="cells"><img src="{thumbnail.uri}" alt="{alt}">{boxes}{peak}</div>'


def strongest_words(look: Look, axis: TokenAxis | None) -> str:
    """Return the few strongest words with their figure, in the order they are read."""
    shades = look.shades.get("text")
    if axis is None or shades is None or len(axis.labels) != len(shades):
        return ""
    most = WORDS if "audio" not in look.shades else WORDS - 1
    order = sorted(np.argsort(-np.abs(shades), kind="stable")[:most])
    chips = "".join(
        f'<span class="{_tone(shades[k])}" style="--s:{abs(shades[k]):.2f}" title="{_figure(look, "text", k)}">'
        f"{escape(cut(show_text(axis.labels[k]), LONGEST_WORD))} <small>{_figure(look, 'text', k)}</small></span>"
        for k in order
        if abs(shades[k]) >= FAINT
    )
    return f'<div class="words">{chips or "<small>no word stands out</small>"}</div>'


def _figure(look: Look, modality: str, place: int) -> str:
    value = float(look.values[modality][place])
    if look.unit:
        return f"{value:.1f}{look.unit}"
    return f"{value:+.2f}".replace("-", "−")


def audio_strip(look: Look, axis: TokenAxis | None) -> str:
    """Return the seconds of the clip as a strip of bars, each the strongest frame within it, and where the peak is."""
    shades = look.shades.get("audio")
    if axis is None or shades is None or len(axis.spans) != len(shades) or not len(shades):
        return ""
    spans = np.asarray(axis.spans, dtype=float)
    end = float(spans[-1, 1]) or 1.0
    columns = np.minimum((spans.mean(axis=1) / end * COLUMNS).astype(int), COLUMNS - 1)
    strip = ""
    for column in range(COLUMNS):
        own = shades[columns == column]
        shade = float(own[np.argmax(np.abs(own))]) if len(own) else 0.0
        strip += f'<i class="{_tone(shade)}" style="height:{max(4, 100 * min(1.0, abs(shade))):.0f}%"></i>'
    peak = int(np.argmax(np.abs(shades)))
    figure = _figure(look, "audio", peak)
    said = "audio: nothing stands out"
    if abs(shades[peak]) >= FAINT:
        said = f"audio: {figure} at {spans[peak, 0]:.1f}–{spans[peak, 1]:.1f} s"
    return f'<div class="seconds" role="img" aria-label="{said}">{strip}</div><small>{said}</small>'


def _tone(shade: float) -> str:
    return "against" if shade < 0 else "for"
