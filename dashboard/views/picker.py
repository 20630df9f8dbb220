"""The record picker: one line per record, failures first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from dashboard.views.labels import cut, say
from fusion_core.reading.texts import show_text
from fusion_core.types import Record, Refusal

LONGEST_TEXT = 70
MARKS = {True: "✓", False: "✗", None: "·"}


@dataclass(frozen=True)
class Choice:
    """One record in the picker."""

    id: str
    line: str


def picker(rows: Sequence[Record | Refusal], answers: pd.DataFrame | None, strategy: str) -> list[Choice]:
    """Return the readable records, those `strategy` got wrong first and the most confident of them on top."""
    records = [row for row in rows if isinstance(row, Record)]
    own = answers_by_id(answers, strategy)
    ranked = sorted(enumerate(records), key=lambda item: (*_rank(own.get(item[1].id)), item[0]))
    return [Choice(record.id, _line(record, own.get(record.id))) for _, record in ranked]


def tally(answers: pd.DataFrame | None, strategy: str) -> str:
    """Return how many labelled records a strategy got wrong, as a sentence."""
    if answers is None:
        return "not answered yet"
    own = answers[(answers["strategy"] == strategy) & (answers["status"] == "ok") & answers["label"].notna()]
    wrong = int((own["prediction"] != own["label"]).sum())
    return f"{wrong} of {len(own)} wrong, those first" if len(own) else "no labelled records"


def caption(
    answers: pd.DataFrame | None, strategy: str, refused: Sequence[Refusal], rows: int, upload: str | None
) -> str:
    """Return what stands over the picker: whose records these are, and how many the strategy got wrong.

    upload: its name, or None for the records that came with the model.
    """
    found = f"{say(strategy)}: {tally(answers, strategy)}{refusals(refused)}"
    if upload is None:
        return f"Record · {found}"
    return f"{upload} · {found}" if rows > 1 else "Your record"


def refusals(refused: Sequence[Refusal]) -> str:
    """Return how many rows could not be read, as the end of a caption."""
    return f" · {len(refused)} rows could not be read" if refused else ""


def answers_by_id(answers: pd.DataFrame | None, strategy: str) -> dict[str, dict[str, object]]:
    if answers is None:
        return {}
    own = answers[(answers["strategy"] == strategy) & (answers["status"] == "ok")]
    return {str(row["id"]): row for row in own.to_dict("records")}


def _correct(answer: dict[str, object] | None) -> bool | None:
    if answer is None or not isinstance(answer["label"], str):
        return None
    return answer["prediction"] == answer["label"]


def _rank(answer: dict[str, object] | None) -> tuple[int, float]:
    order = {False: 0, None: 1, True: 2}[_correct(answer)]
    return order, -float(str(answer["confidence"])) if answer else 0.0


def _line(record: Record, answer: dict[str, object] | None) -> str:
    said = f" · {answer['prediction']} {float(str(answer['confidence'])):.2f}" if answer else ""
    truth = f" (truth {record.label})" if record.label is not None and _correct(answer) is not True else ""
    text = cut(show_text(record.text or "no text"), LONGEST_TEXT)
    return f"{MARKS[_correct(answer)]} {show_text(f'{record.id}{said}{truth}')} · {text}"
