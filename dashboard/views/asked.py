"""What Triage is asked, as its address says it: filters that combine, an order, and a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from fusion_core.log.asking import Filter, Order
from fusion_core.log.schema import SliceKind
from fusion_core.types import CAUSES, Finding

#: Columns that can be filtered besides the run's slices.
COLUMNS = ("release", "prediction", "label", "present")
ROWS = {"failures": "failures", "caused": "with a cause", "all": "all rows"}
ORDERS = {
    "newest": Order("timestamp", True),
    "oldest": Order("timestamp", False),
    "most confident": Order("confidence", True),
    "least confident": Order("confidence", False),
}
PER_PAGE = 25
#: Asks for records without a cause of their own: those of a finding about wrong answers or disagreement.
QUIET = "unexplained"
QUIET_CAUSES = "|".join(f"{m} {f}" for m, f in CAUSES if f in ("none", "conflict", "mislabelled", "mismatched"))
#: Rules that say something of many records and of none of them alone.
OF_MANY = ("unexplained", "disagreement", "dominance", "calibration", "drift")


@dataclass(frozen=True)
class Asked:
    """Filters; cause as `Filter.cause` has it. where: values by column, empty: rows without one. Both days are in."""

    cause: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    since: date | None = None
    until: date | None = None
    rows: str = "failures"
    search: str = ""
    order: str = "newest"
    page: int = 0

    @classmethod
    def read(cls, link: Mapping[str, str], labelled: bool) -> Asked:
        """Return what an address asks for, without what it cannot mean; without labels, a cause is what fails."""
        usual = "failures" if labelled else "caused"
        rows, page = link.get("rows", usual), link.get("page", "")
        return cls(
            cause=link.get("cause", ""),
            where=dict(parse_qsl(link.get("where", ""), keep_blank_values=True)),
            since=_day(link.get("since", "")),
            until=_day(link.get("until", "")),
            rows=rows if rows in ROWS and (labelled or rows != "failures") else usual,
            search=link.get("search", ""),
            order=link["order"] if link.get("order") in ORDERS else "newest",
            page=min(int(page), 10**7) if page.isascii() and page.isdigit() and len(page) < 9 else 0,
        )

    def for_link(self, labelled: bool) -> dict[str, str]:
        """Return the parts of the address that ask for this; empty for what is usual."""
        usual = "failures" if labelled else "caused"
        return {
            "cause": self.cause,
            "where": urlencode(dict(self.where)),
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
            "rows": self.rows if self.rows != usual else "",
            "search": self.search,
            "order": self.order if self.order != "newest" else "",
            "page": str(self.page) if self.page else "",
        }

    def filter(self, strategy: str, slices: Mapping[str, SliceKind]) -> Filter:
        """Return the rows that are asked for; a column this log does not have is left out."""
        own = {name: self.where.get(name) for name in COLUMNS}
        present = own["present"]
        return Filter(
            strategy=strategy,
            since=_midnight(self.since),
            until=_midnight(self.until, 1),
            slices={n: _fitting(v, slices[n]) for n, v in self.where.items() if _means(n, v, slices)},
            correct=False if self.rows == "failures" else None,
            cause=QUIET_CAUSES if self.cause == QUIET else self.cause or ("any" if self.rows == "caused" else None),
            present=None if present is None else tuple(m for m in present.split("+") if m),
            text=self.search or None,
            release=own["release"],
            prediction=own["prediction"],
            label=own["label"],
        )

    def everywhere(self) -> Asked:
        """Return the same without cause, days and page: what a chart over all days is drawn of."""
        return replace(self, cause="", since=None, until=None, page=0)

    def all_rows(self) -> Asked:
        """Return the same over right answers too."""
        return replace(self, rows="all", page=0)

    def follow(self, found: Finding) -> Asked:
        """Return what shows the records of a finding: those with its cause; where it is one of many, without any."""
        return replace(
            self,
            cause=f"{found.modality} {found.fault}" if found.rule not in OF_MANY else QUIET,
            where=dict(found.slice),
            since=_day(found.since or ""),
            until=_day(found.until or ""),
            page=0,
        )

    def follows(self, found: Finding) -> bool:
        """Return whether what is asked is what shows a finding."""
        wanted = self.follow(found)
        return (self.cause, dict(self.where), self.since, self.until) == (
            *(wanted.cause, dict(wanted.where)),
            *(wanted.since, wanted.until),
        )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1700 < found.year < 2260 else None


def _midnight(day: date | None, later: int = 0) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day) + timedelta(days=later)


def _means(name: str, value: str, slices: Mapping[str, SliceKind]) -> bool:
    """Return whether the log can hold such a value: an address may name anything."""
    if name not in slices or name in COLUMNS:
        return False
    return slices[name] == "text" or not value or _number(value) is not None


def _fitting(value: str, kind: SliceKind) -> str | float | None:
    """Return a value as its slice holds it; the empty one asks for rows without a value."""
    return None if not value else _number(value) if kind == "number" else value


def _number(value: str) -> float | None:
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


#: All rows of a log: what is asked of them does not change with what is clicked, and is worked out once.
EVERY_ROW = Asked(rows="all")
