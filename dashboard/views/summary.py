"""What became of an upload, in words and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from fusion_core.errors import CODES
from fusion_core.reading.texts import show_text
from fusion_core.types import Refusal

LONGEST_MESSAGE = 300


def count_of(number: int, word: str) -> str:
    """Return a number with its noun: "1 row", "1,200 rows"."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def summary(rows: int, refused: int, in_part: int) -> str:
    """Return how many rows were read, in whole and in part, and how many were refused; they add up to the rows."""
    whole = rows - refused - in_part
    parts = [f"{whole:,} read whole"]
    parts += [f"{in_part:,} read without a file that is damaged"] if in_part else []
    parts += [f"{refused:,} refused"] if refused else []
    return f"{count_of(rows, 'row')}: {', '.join(parts)}."


def reasons(left_out: Sequence[Refusal]) -> list[str]:
    """Return each reason once with how often it was met, the most frequent first."""
    counted = Counter(refusal.code for refusal in left_out).most_common()
    return [f"{number:,} × {code}: {CODES[code]}" for code, number in counted]


def left_out_table(left_out: Sequence[Refusal]) -> pd.DataFrame:
    """Return what was left out and why, one row each, hidden characters made visible."""
    rows = [(show_text(r.id), r.code, show_text(r.message)[:LONGEST_MESSAGE]) for r in left_out]
    return pd.DataFrame(rows, columns=["record", "code", "why"])
