"""Marks read in the wrong encoding: UTF-8 taken for Windows-1252."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, on_text

SHARES = (0.03, 0.06, 0.10, 0.20, 0.30)  # of the characters
ACCENTED = {"a": "ä", "e": "é", "i": "í", "o": "ö", "u": "ü", "c": "ç", "n": "ñ", "'": "’", '"': "“", "-": "–"}
OTHERS = "é’ü–ö"


def mojibake(text: str, given: Injection) -> str:
    """Give a share of the characters an accent, or a typographer's form, and read the text's bytes wrongly."""
    places = [k for k, character in enumerate(text) if not character.isspace()]
    count = min(len(places), max(1, round(given.amount(SHARES) * len(places))))
    letters = list(text)
    for k in given.random.choice(places, count, replace=False):
        other = OTHERS[given.random.integers(len(OTHERS))]
        letters[k] = ACCENTED.get(letters[k].lower(), other).encode("utf-8").decode("cp1252", "replace")
    return "".join(letters)


fault("text.mojibake")(Fault("text", "corrupted", on_text(mojibake)))
