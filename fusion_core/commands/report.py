"""`report`: one record's case file."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from fusion_core.commands.flags import (
    Verbs,
    emit,
    model_flags,
    open_model,
    question_flags,
    question_of,
    record_of,
    verb,
)


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    report = verb(verbs, "report", run_report, "write one record's case file: a page that needs no network")
    model_flags(report)
    report.add_argument("--id", required=True)
    report.add_argument("--out", required=True, type=Path, metavar="FILE", help="such as case.html")
    report.add_argument("--strategy", default="", metavar="NAME|all")
    question_flags(report)
    report.add_argument("--date", type=_date, metavar="ISO", help="the date on the page (default: now, UTC)")


def _date(given: str) -> datetime:
    """Read a date such as 2026-11-25 or 2026-11-25T16:00+01:00; one without a zone is UTC."""
    try:
        date = datetime.fromisoformat(given)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{given!r} is no date such as 2026-11-25T16:00") from error


def run_report(given: argparse.Namespace) -> int:
    """Write one record's case file; the line tells where it is and how large."""
    from fusion_core.diagnose.telling import case_sections
    from fusion_core.errors import RecordError
    from fusion_core.lines import predict_line
    from fusion_core.model import chosen_strategies
    from fusion_core.report import check_out, gather, page, write_page
    from fusion_core.types import Failure

    check_out(given.out)
    model = open_model(given)
    strategies = chosen_strategies(model, given.strategy)
    record = record_of(given)
    if record is None:
        return 3
    try:
        sections = case_sections(model, given.model, record)
        date = given.date or datetime.now(UTC)
        case = gather(model, record, strategies, question_of(given), date, given.model, sections)
    except RecordError as error:
        emit(predict_line(Failure(record.id, None, error.code, str(error))))
        return 3
    size = write_page(page(case), given.out)
    told = ",".join(trace.strategy for trace in case.traces)
    emit({"kind": "report", "id": record.id, "strategy": told, "out": str(given.out), "bytes": size})
    return 3 if case.failures else 0
