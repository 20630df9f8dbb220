"""Training records that pushed an answer: a card for each, as HTML with every text escaped."""

from __future__ import annotations

from html import escape

from dashboard.views import media
from dashboard.views.labels import cut, say
from dashboard.views.similar import Glimpse
from fusion_core.reading.texts import show_text
from fusion_core.types import Influence, Influential

THUMBNAIL = 160
LONGEST_TEXT = 160


def card(found: Influential, glimpse: Glimpse, strongest: float, target: str) -> str:
    """Return one training record with its label, its text and picture, and how its push compares to the strongest."""
    record = glimpse.record
    share = abs(found.score) / strongest if strongest else 0.0
    tone = "for" if found.score > 0 else "against"
    picture = f'<img src="{media.webp_uri(glimpse.pixels, THUMBNAIL)}" alt="">' if glimpse.pixels is not None else ""
    text = escape(cut(show_text(record.text or "no text"), LONGEST_TEXT))
    label = escape(show_text(found.label))
    same = " same" if found.label == target else ""
    return (
        f'<div class="pushed"><div class="push {tone}" style="width:{100 * share:.0f}%"></div>'
        f'<div class="pushed-head"><b class="{tone}{same}">{label}</b> <span>{escape(show_text(found.id))}</span></div>'
        f'<div class="pushed-body">{picture}<p>{text}</p></div></div>'
    )


def influence_sentence(found: Influence, trained_on: int | None) -> str:
    """Return what was compared and how the bars are meant."""
    whole = f" of the {trained_on:,} it was fitted on" if trained_on and trained_on > found.count else ""
    return (
        f"Among {found.count:,} training records{whole}: which lower the loss of “{found.target}” for this record when "
        f"{say(found.strategy)} is trained on them (TracIn, last layer, final weights). Bars: share of the strongest."
    )
