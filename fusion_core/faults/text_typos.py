"""Typing errors: letters changed, left out or doubled by a neighbour."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, on_text

SHARES = (0.05, 0.10, 0.15, 0.25, 0.40)  # of the characters
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typos(text: str, given: Injection) -> str:
    """Replace, drop or precede a share of the characters by a random letter; spaces stay."""
    places = [k for k, character in enumerate(text) if not character.isspace()]
    count = max(1, round(given.amount(SHARES) * len(places)))
    letters = list(text)
    for k in given.random.choice(places, min(count, len(places)), replace=False):
        letter = LETTERS[given.random.integers(len(LETTERS))]
        letters[k] = (letter, "", letter + letters[k])[given.random.integers(3)]
    return "".join(letters)


fault("text.typos")(Fault("text", "corrupted", on_text(typos)))
