"""A comparison as one long table, a row per figure, to take away as CSV, Parquet or JSON."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pandas as pd

from fusion_core.compare.result import Comparison, Measured, StrategyReport
from fusion_core.contribute.pid import PARTS
from fusion_core.spreadsheet import safe_cell

#: of: what a figure is about: modalities, a kind of fault, the baseline. low, high: 95 % interval, where it has one.
COLUMNS = ["strategy", "measure", "of", "severity", "value", "low", "high", "records"]
Row = tuple[Any, ...]


def long_table(comparison: Comparison) -> pd.DataFrame:
    """Return a row per figure with the columns of `COLUMNS`; what is not measured has no row."""
    rows = [(r.strategy, *row) for r in comparison.strategies for row in _rows(r)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"severity": "Int64", "value": float, "low": float, "high": float, "records": "Int64"})


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV that no spreadsheet takes for formulas."""
    safe = table.copy()
    for column in ("strategy", "measure", "of"):
        safe[column] = [safe_cell(str(cell)) for cell in safe[column]]
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return a table as Parquet, exact."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def as_json(table: pd.DataFrame) -> str:
    """Return a table as JSON, exact: a list of rows."""
    text: str = table.to_json(orient="records", double_precision=15, indent=1)
    return text + "\n"


def _figure(measure: str, found: Measured, records: int, of: str = "", severity: int | None = None) -> Row:
    return (measure, of, severity, found.value, found.low, found.high, records)


def _bare(measure: str, value: float, records: int | None = None, of: str = "") -> Row:
    return (measure, of, None, float(value), None, None, records)


def _rows(report: StrategyReport) -> Iterator[Row]:
    yield from _quality(report)
    if report.cost:
        yield _bare("parameters", report.cost.parameters)
        yield _bare("milliseconds per record", report.cost.milliseconds)
        yield _bare("megabytes", report.cost.megabytes)
        yield _bare("million operations per record", report.cost.operations)
    for pattern in report.patterns:
        of = "+".join(pattern.present)
        if pattern.accuracy:
            yield _figure("accuracy with only", pattern.accuracy, pattern.records, of)
        if pattern.calibration_error is not None:
            yield _bare("calibration error with only", pattern.calibration_error, pattern.records, of)
        if pattern.agreement:
            yield _figure("agreement with only", pattern.agreement, pattern.records, of)
    for modality, share in report.reliance.items():
        yield _figure("reliance", share, report.ledgers, modality)
    yield from _usage(report)
    for curve in report.curves:
        for severity, accuracy in zip(curve.severities, curve.accuracy, strict=True):
            yield _figure("accuracy under fault", accuracy, curve.records, curve.kind, severity)
        yield _bare("relative robustness", curve.relative, curve.records, curve.kind)
        if curve.effective is not None:
            yield _bare("effective robustness", curve.effective, curve.records, curve.kind)


def _quality(report: StrategyReport) -> Iterator[Row]:
    if report.quality:
        quality, count = report.quality, report.quality.records
        yield _figure("accuracy", quality.accuracy, count)
        yield _figure("macro-F1", quality.macro_f1, count)
        yield _figure("nll", quality.nll, count)
        yield _figure("calibration error", quality.calibration.error, count)
        yield _bare("temperature", quality.calibration.temperature, count)
        yield _figure("calibration error of half, with temperature", quality.calibration.scaled, count // 2)
    if report.against:
        base, failures = report.against.baseline, report.against.failures
        count = report.quality.records if report.quality else 0
        yield _figure("accuracy less baseline's", report.against.difference, count, base)
        yield _bare("McNemar p", report.against.p, count, base)
        yield _bare("baseline's failures", failures, count, base)
        yield _bare("failures fixed", report.against.fixes, count, base)
        yield _bare("right answers broken", report.against.breaks, count, base)


def _usage(report: StrategyReport) -> Iterator[Row]:
    if report.emap:
        gap, residual = Measured(report.emap.gap, *report.emap.gap_interval), report.emap.residual_interval
        yield _figure("EMAP gap", gap, report.emap.records)
        yield _figure("EMAP residual share", Measured(report.emap.residual, *residual), report.emap.records)
    for score in report.perceptual:
        yield _figure("perceptual score", Measured(score.score, *score.interval), score.records, score.modality)
    for found in report.information:
        for part in PARTS:
            figure = Measured(getattr(found.bits, part), *found.intervals[part])
            yield _figure(f"{part.replace('_', ' ')}, bits", figure, found.records, f"{found.first}+{found.second}")
