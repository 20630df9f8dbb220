"""Tables for download: CSV that no spreadsheet takes for a formula, JSON lines that are exact."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from fusion_core.spreadsheet import safe_cell
from fusion_core.types import Refusal


def refusals_csv(refused: Sequence[Refusal]) -> str:
    """Return id, code and message of what was left out, safe to open in a spreadsheet."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("id", "code", "message"))
    table.writerows([safe_cell(cell) for cell in (r.id, r.code, r.message)] for r in refused)
    return out.getvalue()


def refusals_jsonl(refused: Sequence[Refusal]) -> str:
    """Return the same, exact, one JSON object per line."""
    return "".join(
        json.dumps({"id": r.id, "code": r.code, "message": r.message}, ensure_ascii=False) + "\n" for r in refused
    )
