"""One record's case file: a self-contained HTML page for a ticket or a mail."""

from __future__ import annotations

from fusion_core.report.case import Case, Section, gather
from fusion_core.report.page import page
from fusion_core.report.writing import check_out, write_page

__all__ = ["Case", "Section", "check_out", "gather", "page", "write_page"]
