"""What is left when modalities are absent: strategies by presence patterns, as a table whose cells are shaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dashboard.views.compare import offered
from dashboard.views.ledger import plain
from fusion_core.compare.result import Comparison, PatternQuality
from fusion_core.words import say


def pattern_words(present: Sequence[str]) -> str:
    """Return which modalities are left."""
    return " + ".join(say(m) for m in present)


def presence_html(found: Comparison) -> str:
    """Return accuracy with only some modalities left, without labels the share answered as with all of them."""
    reports = [report for report in offered(found) if report.patterns]
    columns = list(dict.fromkeys(p.present for r in reports for p in r.patterns))
    columns.sort(key=lambda present: (-len(present), present))
    head = "".join(f"<th>{'<br>'.join(escape(say(m)) for m in present)}</th>" for present in columns)
    rows = ""
    for report in reports:
        by_pattern = {p.present: p for p in report.patterns}
        cells = "".join(_cell(by_pattern.get(present)) for present in columns)
        rows += f"<tr><td>{escape(say(report.strategy))}</td>{cells}</tr>"
    return (
        f'<div class="wide"><table class="heat"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(one: PatternQuality | None) -> str:
    shown = (one.accuracy or one.agreement) if one else None
    if one is None or shown is None:
        return "<td></td>"
    error = f", ECE {one.calibration_error:.3f}" if one.calibration_error is not None else ""
    figures = f"{plain(shown.value, 3)} ({plain(shown.low, 3)} to {plain(shown.high, 3)})"
    said = f"{pattern_words(one.present)}: {figures}{error}, n {one.records:,}"
    small = f"<br><small>ECE {one.calibration_error:.2f}</small>" if one.calibration_error is not None else ""
    return f'<td style="--h:{shown.value:.3f}" title="{escape(said)}">{plain(shown.value, 2)}{small}</td>'
