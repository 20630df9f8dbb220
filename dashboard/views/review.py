"""Label review in words: a suspect label with what argues against it, and the decisions as lines to take away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from dashboard.views import media
from dashboard.views.labels import cut
from dashboard.views.similar import Glimpse
from fusion_core.reading.texts import show_text
from fusion_core.review import Suspect

THUMBNAIL = 160
LONGEST_TEXT = 220
TAKE, KEEP, LEAVE = "take", "keep", "leave"


def suspect_html(found: Suspect, glimpse: Glimpse) -> str:
    """Return one suspect: its label, the one suggested, how far its own is believed, its text and picture."""
    picture = f'<img src="{media.webp_uri(glimpse.pixels, THUMBNAIL)}" alt="">' if glimpse.pixels is not None else ""
    text = escape(cut(show_text(glimpse.record.text or "no text"), LONGEST_TEXT))
    label, other = escape(show_text(found.label)), escape(show_text(found.suggested))
    return (
        f'<div class="suspect"><div class="suspect-head"><b>{label}</b><i>rather</i><b class="rather">{other}</b>'
        f"<span>{escape(show_text(found.id))}</span></div>"
        f'<div class="suspect-body">{picture}<p>{text}</p></div>'
        f"<small>belief in its label {found.belief:.2f}; harder to learn than "
        f"{found.self_influence:.0%} of the records</small></div>"
    )


def choice_of(found: Suspect, decided: Mapping[str, str | None]) -> str | None:
    """Return what was decided about a suspect; None where nothing was."""
    if found.id not in decided:
        return None
    label = decided[found.id]
    return LEAVE if label is None else KEEP if label == found.label else TAKE


def label_for(found: Suspect, choice: str) -> str | None:
    """Return the label that a choice gives a record; None leaves it out."""
    return {TAKE: found.suggested, KEEP: found.label}.get(choice)


def decisions_jsonl(decided: Mapping[str, str | None]) -> str:
    """Return one JSON object per decision, exact: the record's id and its label, null where it is left out."""
    return "".join(json.dumps({"id": id, "label": label}, ensure_ascii=False) + "\n" for id, label in decided.items())


def decided_sentence(decided: Mapping[str, str | None], own: Mapping[str, str | None]) -> str:
    """Return how many labels were decided on, and how. own: the set's labels by id."""
    changed = sum(label is not None and label != own.get(id) for id, label in decided.items())
    left = sum(label is None for label in decided.values())
    kept = len(decided) - changed - left
    parts = [(changed, "changed"), (kept, "kept"), (left, "left out")]
    said = ", ".join(f"{number:,} {word}" for number, word in parts if number)
    return f"Decided: {said}." if said else "Nothing decided yet."
