"""Triage in words and tables: the head, findings as sentences, slices, and a page of rows."""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from dashboard.views.escape import markdown_safe
from fusion_core.intervals import wilson
from fusion_core.log.queries import BETWEEN_RELEASES
from fusion_core.reading.texts import show_text
from fusion_core.types import Finding
from fusion_core.words import NOT_EXPLAINED, cause_words

LATELY = 7  # days
UNEXPLAINED = ("none none", "not diagnosed")
PLAIN = (NOT_EXPLAINED, "not diagnosed")
OTHER_CAUSES = "another cause"
DRIFTS = ("drift",)


@dataclass(frozen=True)
class Head:
    """The figures on top: all over the filters that are set, failures by the log's own labels."""

    rows: int
    labelled: int
    failures: int
    explained: int | None  # failures with a cause; None for a log that was not diagnosed
    lately: tuple[int, int]  # right and labelled in the last days there are labels for
    before: tuple[int, int]  # the same of all days before
    error: float  # expected calibration error, NaN without labels
    unanswered: int = 0  # rows that gave no answer


def head(timeline: pd.DataFrame, causes: pd.DataFrame, diagnosed: bool, error: float) -> Head:
    """Add up the figures of a timeline by day and of the failures by cause."""
    dated = timeline[timeline["bucket"].notna()]
    labelled = dated[dated["labelled"] > 0]
    last = labelled["bucket"].max()
    late = labelled["bucket"] > last - pd.Timedelta(days=LATELY) if len(labelled) else labelled["bucket"].notna()
    right = labelled["labelled"] - labelled["wrong"]
    named = causes[~causes["cause"].isin(UNEXPLAINED)]
    return Head(
        rows=int(timeline["rows"].sum()),
        labelled=int(timeline["labelled"].sum()),
        failures=int(causes["rows"].sum()),
        explained=int(named["rows"].sum()) if diagnosed else None,
        lately=(int(right[late].sum()), int(labelled["labelled"][late].sum())),
        before=(int(right[~late].sum()), int(labelled["labelled"][~late].sum())),
        error=error,
        unanswered=int(timeline["error_rows"].sum()),
    )


def head_html(found: Head, failures: str) -> str:
    """Return the head as HTML; failures: what the rows counted as such are called."""
    cards = []
    if found.lately[1]:
        low, high = wilson(*found.lately)
        now = found.lately[0] / found.lately[1]
        note = f"95 % {low:.2f} to {high:.2f}, n {found.lately[1]:,}"
        if found.before[1]:
            change = now - found.before[0] / found.before[1]
            direction = "up" if change >= 0 else "down"
            note = f'<b class="{direction}">{_signed(change)}</b> against the days before; {note}'
        cards.append(("accuracy, last 7 days", f"{now:.2f}", note))
    cards.append(("labelled", f"{found.labelled:,}", f"of {found.rows:,} predictions"))
    if found.explained is not None and found.failures:
        share = found.explained / found.failures
        cards.append((f"{failures} with a named cause", f"{share:.0%}", f"{found.explained:,} of {found.failures:,}"))
    if math.isfinite(found.error):
        cards.append(("calibration error", f"{found.error:.3f}", f"ECE, 15 bins of equal mass, n {found.labelled:,}"))
    if found.unanswered:
        cards.append(("without an answer", f"{found.unanswered:,}", "named below, under Records"))
    inner = "".join(
        f"<div><span>{html.escape(name)}</span><strong>{value}</strong><small>{note}</small></div>"
        for name, value, note in cards
    )
    return f'<div class="triage-head">{inner}</div>'


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{abs(value):.2f}"


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings that name records, those that are commonest against all others first, then the wrong answers."""
    named = [found for found in findings if found.rule not in DRIFTS]
    return sorted(named, key=lambda f: (f.fault == "none", -(f.lift or 0.0)))


def finding_title(found: Finding, colours: Mapping[str, str]) -> str:
    """Return a finding's colour, cause and lift, as Markdown."""
    name = "wrong answers" if found.fault == "none" else cause_words(f"{found.modality} {found.fault}")
    swatch = f':color[■]{{foreground="{colours[name]}"}} ' if name in colours else ""
    return f"{swatch}**{markdown_safe(name)}**{_times(found.lift)}"


def _times(lift: float | None) -> str:
    """Return how many times commoner something is; beyond a hundred it is a matter of a single record elsewhere."""
    if lift is None:
        return ""
    return f" · ×{lift:.1f}" if lift < 100 else " · over ×100"


def finding_caption(found: Finding, chosen: bool, failures: bool = False) -> str:
    """Return a finding's sentence, of the chosen one with what to do and what is in view, as Markdown."""
    if not chosen:
        return markdown_safe(found.message)
    seen = " Of its records, those answered wrongly are in view: “with a cause” shows all." if failures else ""
    return f"{markdown_safe(found.message)} {markdown_safe(found.advice)}{seen}"


def drift_lines(findings: Sequence[Finding]) -> list[str]:
    """Return the drifts as Markdown lines."""
    return [f"- {markdown_safe(found.message)}" for found in findings if found.rule in DRIFTS]


def first_days(timeline: pd.DataFrame) -> list[tuple[date, str]]:
    """Return the first day of every release after the first one, in their order."""
    first: dict[str, date] = {}
    for bucket, names in zip(timeline["bucket"], timeline["release"], strict=True):
        if pd.isna(bucket) or pd.isna(names):
            continue
        for name in str(names).split(BETWEEN_RELEASES):
            first.setdefault(name, bucket.date())
    days = sorted((day, name) for name, day in first.items())
    return [(day, name) for day, name in days if day > days[0][0]][:12]


def cause_counts(counts: pd.DataFrame, kept: Collection[str]) -> pd.DataFrame:
    """Return a timeline of causes as the chart takes it: day, cause in words, rows.

    kept: causes with a colour, and the one that was asked for; the others are one.
    """
    named = [cause_words(cause) for cause in counts["cause"]]
    named = [name if name in kept or name in PLAIN else OTHER_CAUSES for name in named]
    table = pd.DataFrame({"day": counts["bucket"], "cause": named, "rows": counts["rows"]})
    return table.groupby(["day", "cause"], as_index=False)["rows"].sum()


def named_causes(findings: Sequence[Finding]) -> list[str]:
    """Return the causes that findings name, in words, in the order they are shown."""
    return [cause_words(f"{f.modality} {f.fault}") for f in ranked(findings) if f.fault != "none"]


def confusion_table(counts: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return rows by true class (rows) and answer (columns), in the order of the classes, then of the alphabet."""
    found = sorted({*counts["label"], *counts["prediction"]} - set(classes))
    names = [*(c for c in classes), *found]
    table = counts.pivot_table(index="label", columns="prediction", values="rows", aggfunc="sum", fill_value=0)
    return table.reindex(index=names, columns=names, fill_value=0)


def slice_table(every: pd.DataFrame, named: pd.DataFrame, labelled: bool) -> pd.DataFrame:
    """Return one line per value: rows, share with a cause, and with labels the accuracy with its interval and lift."""
    caused = dict(zip(named["value"].map(_value), named["rows"], strict=True))
    table = pd.DataFrame({"value": every["value"].map(_value), "rows": every["rows"]})
    table["with a cause"] = [
        caused.get(value, 0) / rows for value, rows in zip(table["value"], table["rows"], strict=True)
    ]
    if labelled:
        table["accuracy"] = every["accuracy"]
        table["95 %"] = [
            "" if np.isnan(low) else f"{low:.2f} to {high:.2f}"
            for low, high in zip(every["low"], every["high"], strict=True)
        ]
        table["error lift"] = every["lift"]
    return table


def _value(value: object) -> str:
    return "(none)" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def rows_table(page: pd.DataFrame, causes: pd.DataFrame, thumbnails: Sequence[str | None]) -> pd.DataFrame:
    """Return a page of rows as the table takes it; text that came with data is made visible, not interpreted."""
    cause = dict(zip(causes["id"], causes["cause"], strict=True))
    return pd.DataFrame(
        {
            "image": list(thumbnails),
            "text": [show_text(text)[:300] if isinstance(text, str) else "" for text in page["text"]],
            "answered": page["prediction"],
            "truth": [label if isinstance(label, str) else "" for label in page["label"]],
            "cause": [cause_words(cause.get(one, "not diagnosed")) for one in page["id"]],
            "confidence": page["confidence"],
            "time": page["timestamp"],
            "release": [name if isinstance(name, str) else "" for name in page["release"]],
            "id": page["id"],
        }
    )


def chosen_sentence(row: Mapping[str, object], cause: Mapping[str, object] | None) -> str:
    """Return what is said of the row that was selected, as Markdown."""
    truth = f", truth {row['label']}" if isinstance(row["label"], str) else ", no label"
    said = f"**{markdown_safe(str(row['prediction']))}** {float(str(row['confidence'])):.2f}{markdown_safe(truth)}"
    if cause is None:
        return f"{said} · not diagnosed"
    named = markdown_safe(cause_words(str(cause["cause"])))
    return f"{said} · **{named}**. {markdown_safe(str(cause['said']))}"


def error_sentence(codes: pd.DataFrame) -> str:
    """Return how many rows ended with which error code, as Markdown."""
    named = (f"{int(n):,} {markdown_safe(str(code))}" for code, n in zip(codes["code"], codes["rows"], strict=True))
    return f"By code: {', '.join(named)}."


def error_table(page: pd.DataFrame) -> pd.DataFrame:
    """Return rows that gave no answer as they are shown."""
    found = page[["id", "code", "message", "timestamp"]].rename(columns={"timestamp": "time"})
    for name in ("id", "code", "message"):
        found[name] = [show_text(str(value)) for value in found[name]]
    return found
