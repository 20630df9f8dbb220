"""What a comparison of strategies found, in words and as HTML tables whose intervals can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from dashboard.views.ledger import plain, signed
from fusion_core.compare.result import Against, Calibration, Comparison, Curve, Measured, StrategyReport
from fusion_core.reading.texts import show_text
from fusion_core.words import ORIGINAL, count, cut, original_of, say

CHANCE = "chance"
NEEDS = {
    "interaction": "needs relations between modalities",
    "independent": "independent witnesses",
    "undecided": "not decided by these records",
}
#: What a figure of the verdict's evidence is called; another one is shown under its own name.
EVIDENCE = {
    "difference": "accuracy of the best strategy that relates, less the best that adds up votes",
    "gap": "accuracy it loses when only a sum of its modalities is left (EMAP gap)",
    "residual": "share of its logits that no such sum gives",
    "synergy": "bits about the label that a pair of modalities knows only together",
    "redundancy": "bits that both know",
    "unique_first": "bits that only the first knows",
    "unique_second": "bits that only the second knows",
}
ACCURACIES, SHARES = ("difference", "gap"), ("residual",)  # on one axis each; the rest are bits
SMALL = 0.001
#: What the cost of an original is of, beside that of strategies fitted on its encoders.
WHOLE = (
    "The model that the encoders are parts of; nothing of it was fitted here. Its ms and operations are those of its "
    "whole transformer; those of the others come after it has read each modality by itself."
)


def ranked(found: Comparison) -> list[StrategyReport]:
    """Return strategies by accuracy, best first; those at chance, and those not measured yet, last."""

    def place(report: StrategyReport) -> tuple[bool, float]:
        return report.status == CHANCE, -(report.quality.accuracy.value if report.quality else -1.0)

    return sorted(found.strategies, key=place)


def offered(found: Comparison) -> list[StrategyReport]:
    """Return strategies whose answers may be shown, best first."""
    return [report for report in ranked(found) if report.status != CHANCE]


def interval(figure: Measured, low: float, high: float, zero: float | None = None) -> str:
    """Return a figure as a dot on its 95 % interval, on an axis from low to high; zero: where a mark stands."""
    width = max(high - low, 1e-12)

    def at(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - low) / width))

    mark = "" if zero is None else f'<s style="left:{at(zero):.1f}%"></s>'
    left, right = at(figure.low), at(figure.high)
    tone = "" if zero is None or figure.low <= zero <= figure.high else " above" if figure.low > zero else " below"
    return (
        f'<span class="iv{tone}">{mark}<i style="left:{left:.1f}%;width:{max(right - left, 0.5):.1f}%"></i>'
        f'<b style="left:{at(figure.value):.1f}%"></b></span>'
    )


def bounds(figures: Sequence[Measured], zero: bool = False) -> tuple[float, float]:
    """Return an axis that holds all intervals, with a little room; zero: it is on it too."""
    values = [*(f.low for f in figures), *(f.high for f in figures), *([0.0] if zero else [])] or [0.0, 1.0]
    room = 0.04 * (max(values) - min(values) or 1.0)
    return min(values) - room, max(values) + room


def said(figure: Measured, digits: int = 2, sign: bool = False) -> str:
    """Return a figure with its interval in words: "0.90 (0.85 to 0.95)"."""
    value = signed(figure.value, digits) if sign else plain(figure.value, digits)
    return f"{value} <small>({plain(figure.low, digits)} to {plain(figure.high, digits)})</small>"


def p_words(p: float) -> str:
    """Return a p-value as it is printed."""
    return "p < 0.001" if p < SMALL else f"p {p:.3f}" if p < 0.1 else f"p {p:.2f}"


def verdict_html(found: Comparison) -> str:
    """Return the verdict with its figures; "" while there is none."""
    verdict = found.verdict
    if verdict is None:
        return ""
    return (
        f'<div class="verdict-card"><span class="needs {verdict.needs}">{NEEDS[verdict.needs]}</span>'
        f"<p>{escape(show_text(verdict.message))}</p>{_evidence(verdict.evidence)}</div>"
    )


def _evidence(figures: Mapping[str, Measured]) -> str:
    """Return the figures of a verdict, those in one unit on one axis."""
    rows = ""
    for name, figure in figures.items():
        alike = [f for n, f in figures.items() if _unit(n) == _unit(name)]
        low, high = bounds(alike, zero=True)
        word = escape(show_text(EVIDENCE.get(name, name.replace("_", " "))))
        shown = interval(figure, low, high, 0.0)
        rows += f"<tr><td>{word}</td><td>{shown}</td><td>{said(figure, 3)}</td></tr>"
    caption = "The evidence, with 95 % intervals; the upright line is 0."
    if any(_unit(name) == "bits" for name in figures):
        caption += " Bits are less what a permuted label gives (below 0: none to see), and do not decide."
    return f'<div class="wide"><table><caption>{caption}</caption>{rows}</table></div>' if rows else ""


def _unit(name: str) -> str:
    return "accuracy" if name in ACCURACIES else "share" if name in SHARES else "bits"


def strategies_html(found: Comparison, against: Mapping[str, Against], today: str) -> str:
    """Return the table of strategies; against: each beside the one that runs today, where there is a difference."""
    reports = ranked(found)
    accuracies = bounds([r.quality.accuracy for r in reports if r.quality])
    differences = bounds([a.difference for a in against.values()], zero=True)
    best = found.verdict.strategy if found.verdict else ""
    head = "".join(
        f"<th{f' title={chr(34)}{why}{chr(34)}' if why else ''}>{name}</th>"
        for name, why in (
            ("strategy", ""),
            ("accuracy", "with 95 % bootstrap interval over records"),
            (f"less {escape(say(today))}", "accuracy less that of today's strategy, same records; exact McNemar"),
            ("fixes / breaks", "records only this one answers rightly / only today's"),
            ("macro-F1", "mean of the F1 of each class"),
            ("NLL", "mean negative log probability of the truth, in nats; less is better"),
            ("ECE", "expected calibration error, 15 bins of equal mass; less is better"),
            ("EMAP gap", "accuracy lost when only the sum of one-modality functions is left"),
            ("residual", "share of the centred logits' variance that no such sum gives"),
            ("ms", "median per record of a fusion on cached tokens"),
            ("M ops", "multiplications and additions of one fusion, in millions: the same on every machine"),
            ("weights", "trained weights of the head"),
        )
    )
    original = original_of({r.strategy: r.status for r in reports})
    rows = "".join(
        _strategy_row(r, against.get(r.strategy), accuracies, differences, today, best, original) for r in reports
    )
    return (
        f'<div class="wide"><table class="strategies"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _strategy_row(
    report: StrategyReport,
    beside: Against | None,
    accuracies: tuple[float, float],
    differences: tuple[float, float],
    today: str,
    best: str,
    original: str | None,
) -> str:
    name = f"<b>{escape(say(report.strategy))}</b>"
    if report.strategy == original:
        name += f' <span class="tag" title="{escape(WHOLE)}">{ORIGINAL}, as loaded</span>'
    if report.strategy == best:
        name += ' <span class="tag best">recommended</span>'
    if report.strategy == today:
        name += ' <span class="tag">today</span>'
    if report.status == CHANCE:
        return f'<tr class="chance"><td>{name}</td><td colspan="11">at chance level: not an answer</td></tr>'
    quality, gap, cost = report.quality, report.emap, report.cost
    cells = [name]
    cells.append(f"{interval(quality.accuracy, *accuracies)} {said(quality.accuracy)}" if quality else "")
    if beside is None:
        cells += ["", ""]
    else:
        shown = interval(beside.difference, *differences, 0.0)
        cells.append(f"{shown} {said(beside.difference, sign=True)} <small>{p_words(beside.p)}</small>")
        cells.append(f"{beside.fixes:,} / {beside.breaks:,}")
    cells += (
        [_short(quality.macro_f1), _short(quality.nll), _short(quality.calibration.error, 3)] if quality else [""] * 3
    )
    if gap is None:
        cells += ["", ""]
    else:
        cells.append(_short(Measured(gap.gap, *gap.gap_interval), sign=True))
        cells.append(_short(Measured(gap.residual, *gap.residual_interval)))
    cells += [f"{cost.milliseconds:.1f}", f"{cost.operations:.0f}", count(cost.parameters)] if cost else [""] * 3
    marked = ' class="today"' if report.strategy == today else ""
    return f"<tr{marked}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _short(figure: Measured, digits: int = 2, sign: bool = False) -> str:
    """Return a figure over its interval, in two lines."""
    value = signed(figure.value, digits) if sign else plain(figure.value, digits)
    return f"{value}<br><small>{plain(figure.low, digits)} to {plain(figure.high, digits)}</small>"


def fault_words(kind: str) -> str:
    """Return a kind of fault as it is said: "image · blur"."""
    modality, _, name = kind.partition(".")
    return f"{modality} · {name.replace('_', ' ')}" if name else kind


def fault_kinds(found: Comparison) -> list[str]:
    """Return every kind of fault that any strategy was tried with, in order."""
    return list(dict.fromkeys(curve.kind for report in found.strategies for curve in report.curves))


def curve_of(report: StrategyReport, kind: str) -> Curve | None:
    """Return a strategy's curve under a kind of fault."""
    return next((curve for curve in report.curves if curve.kind == kind), None)


def robustness_html(found: Comparison, kind: str) -> str:
    """Return relative and effective robustness per strategy: under one kind of fault, and as means over all kinds."""
    rows = ""
    for report in ranked(found):
        own = curve_of(report, kind)
        if own is None or report.status == CHANCE:
            continue
        relative = _mean([curve.relative for curve in report.curves])
        effective = _mean([curve.effective for curve in report.curves if curve.effective is not None])
        cells = (
            plain(own.relative, 3),
            "" if own.effective is None else signed(own.effective, 3),
            "" if relative is None else plain(relative, 3),
            "" if effective is None else signed(effective, 3),
        )
        rows += f"<tr><td>{escape(say(report.strategy))}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    kinds = len(fault_kinds(found))
    head = (
        f'<tr><th rowspan="2">strategy</th><th colspan="2">{escape(fault_words(kind))}</th>'
        f'<th colspan="2">mean of {kinds} kinds</th></tr>'
        "<tr><th>relative</th><th>effective</th><th>relative</th><th>effective</th></tr>"
    )
    return f'<div class="wide"><table class="figures"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def calibration_words(found: Calibration, records: int) -> str:
    """Return what stands under a reliability diagram: the error as answered, and after one temperature."""
    words = (
        f"{records:,} records in {len(found.bins)} bins of equal mass, 95 % Wilson intervals; below the dotted line it "
        f"is surer than it is right. ECE {_words(found.error, 3)}. "
    )
    before = f"{_words(found.unscaled, 3)}" if found.unscaled else "not known"
    return words + (
        f"As an option: with all logits divided by one temperature, {found.temperature:.2f} (fitted on every second "
        f"record), ECE on the other half goes from {before} to {_words(found.scaled, 3)}."
    )


def _words(figure: Measured, digits: int) -> str:
    return f"{plain(figure.value, digits)} ({plain(figure.low, digits)} to {plain(figure.high, digits)})"


def left_out_words(found: Comparison) -> str:
    """Return what could not be measured, as one caption; "" where all could."""
    lines = [show_text(cut(line, 200)) for line in found.left_out]
    lines += [f"{found.refused:,} rows could not be read"] if found.refused else []
    return f"Not measured: {'; '.join(lines)}." if lines else ""


def time_left(seconds: float, done: int, planned: int) -> str:
    """Return how long the rest takes at the pace so far; "" before the first piece is done."""
    if done <= 0 or planned <= done:
        return ""
    left = seconds / done * (planned - done)
    return f"about {left:.0f} s left" if left < 90 else f"about {left / 60:.0f} min left"


def progress_words(found: Comparison | None, within: str, seconds: float) -> tuple[float, str]:
    """Return the share done, and what is being done; within: how far the piece at hand is."""
    if found is None or not found.planned:
        return 0.0, "Reading the records."
    left = time_left(seconds, found.done, found.planned)
    doing = f": {show_text(found.doing)}" if found.doing else ""
    inside = f" ({show_text(within.replace('encode ', 'encoded '))})" if within else ""
    words = f"{found.done} of {found.planned} pieces{doing}{inside}. {left}"
    return min(1.0, found.done / found.planned), words.strip()
