"""The record's image and waveform, each embedded once and drawn wherever a map needs it, as inline SVG."""

from __future__ import annotations

from fusion_core.report.case import Case, Photo, Sound
from fusion_core.report.markup import Markup, joined, tag
from fusion_core.words import plain

TALLEST = 320  # CSS pixels of the longer side
THINNEST = 44
WIDE, WAVE, STRIP = 600, 54, 16  # units of the waveform's drawing


def shared_drawings(case: Case) -> Markup:
    """Return the drawings that maps refer to, so that a picture shown five times is embedded once."""
    held = []
    if case.photo is not None:
        size = {"width": case.photo.width, "height": case.photo.height}
        held.append(tag("image", id="picture", href=case.photo.src, preserveAspectRatio="none", **size))
    if case.sound is not None:
        held.append(tag("path", id="wave", d=_wave(case.sound), class_="wave", vector_effect="non-scaling-stroke"))
    if not held:
        return Markup()
    return tag("svg", tag("defs", *held), width=0, height=0, class_="shared", aria_hidden="true")


def photo(picture: Photo, label: str, *over: str, tallest: int = TALLEST) -> Markup:
    """Return the image with shapes over it, in its own pixels; a sliver is drawn wide enough to be seen."""
    scale = tallest / max(picture.width, picture.height)
    width, height = (max(THINNEST, round(side * scale)) for side in (picture.width, picture.height))
    sliver = THINNEST in (width, height)
    return tag(
        "svg",
        tag("use", href="#picture"),
        *over,
        viewBox=f"0 0 {picture.width} {picture.height}",
        width=width,
        height=height,
        preserveAspectRatio="none" if sliver else None,
        class_="picture" + (" mapped" if over else "") + (" sliver" if sliver else ""),
        role="img",
        aria_label=label,
    )


def waveform(sound: Sound, label: str, *under: str) -> Markup:
    """Return the waveform, with shapes in a strip under it (`WIDE` units wide, from `WAVE` to `WAVE + STRIP`)."""
    height = WAVE + (STRIP if under else 0)
    return tag(
        "svg",
        tag("use", href="#wave"),
        *under,
        viewBox=f"0 0 {WIDE} {height}",
        height=height,
        preserveAspectRatio="none",
        class_="clip",
        role="img",
        aria_label=label,
    )


def ticks(sound: Sound) -> Markup:
    """Return the seconds under a waveform."""
    number = min(5, max(2, int(sound.seconds / 0.4) + 1))
    marks = [plain(sound.seconds * i / (number - 1), 1) + ("" if i else " s") for i in range(number)]
    return tag("p", *(tag("span", mark) for mark in marks), class_="ticks")


def _wave(sound: Sound) -> str:
    columns, middle = sound.peaks.shape[1], WAVE / 2
    step = WIDE / columns
    parts = []
    for column, (low, high) in enumerate(sound.peaks.T.astype(float) / 127):
        top, bottom = middle - high * (middle - 2), middle - low * (middle - 2)
        parts.append(f"M{(column + 0.5) * step:.4g} {top:.3g}V{max(bottom, top + 0.6):.3g}")
    return joined(*map(Markup, parts))
