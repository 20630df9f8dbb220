"""Journey: from a red number to a named, tested cause, on the sample log."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest

from tests.browser.steps import press
from tests.conftest import SAMPLES

TRUTH = json.loads((SAMPLES / "production_truth.json").read_text("utf-8"))["incidents"]
FINDING = ".st-key-triage-findings div:has(> [data-testid=stRadioOption])"
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"


def findings(page) -> list[str]:
    return page.locator(FINDING).all_inner_texts()


def option_of(page, incident: dict):
    """Return the finding that tells of an incident: its cause, its slice and its first day."""
    words = f"{incident['modality']} · {incident['fault'].replace('_', ' ')}"
    place = " ".join(f"{name} is {value}" for name, value in incident["slice"].items())
    options = page.locator(FINDING).filter(has_text=words)
    return options.filter(has_text=place) if place else options


def rows_said(page) -> int:
    return int(re.search(r"Records\s+([\d,]+)", page.inner_text(".st-key-log-bar")).group(1).replace(",", ""))


def choose(page, option) -> None:
    option.locator("p").first.click()
    page.wait_for_selector(".st-key-filters [class*=st-key-chip]")
    page.wait_for_selector(SETTLED)


def test_the_readmes_first_command_opens_on_triage_and_shows_the_six_incidents(visit):
    here = visit()
    page = here.triage()
    assert len(TRUTH) == 6
    assert len(findings(page)) >= 7
    for incident in TRUTH:
        option = option_of(page, incident)
        assert option.count() >= 1, incident["name"]
        said = re.findall(r"\d{4}-\d\d-\d\d", " ".join(option.all_inner_texts()))
        began = date.fromisoformat(incident["since"])
        assert min(abs(date.fromisoformat(day) - began) for day in said) <= timedelta(days=1), incident["name"]
    here.shot("triage light 1440")


def test_from_a_finding_to_a_record_its_cause_and_back_without_losing_the_place(visit):
    here = visit()
    page = here.triage()
    blank = next(incident for incident in TRUTH if incident["name"] == "blank_thumbnails")
    choose(page, option_of(page, blank).first)
    few = rows_said(page)
    assert 0 < few < len(blank["record_ids"])
    assert "cause=image+missing" in page.url
    assert "since=2026-10-06" in page.url
    page.locator(".st-key-triage-rows .dvn-scroller").first.click(position={"x": 20, "y": 60})
    inspect = page.get_by_role("button", name="Why? Inspect")
    inspect.wait_for()
    page.locator(".st-key-log-row audio").wait_for()
    here.shot("triage row selected")
    press(inspect, page.locator('[data-testid="headline"]'))
    here.settle()
    assert "image · missing" in page.locator(".st-key-cause-line").inner_text()
    cause = page.locator(".st-key-cause .cause")
    cause.wait_for()
    assert "image · missing" in cause.inner_text()
    assert "control" in cause.inner_text()
    here.shot("inspect with cause")
    press(page.get_by_role("button", name="Back to Triage"), page.locator(".st-key-triage-rows"))
    page.wait_for_selector(SETTLED)
    assert rows_said(page) == few
    assert "cause=image+missing" in page.url


def test_a_link_opens_the_same_rows_in_another_browser(visit):
    here = visit()
    page = here.triage()
    vendor = next(incident for incident in TRUTH if incident["name"] == "vendor")
    choose(page, option_of(page, vendor).first)
    few = rows_said(page)
    other = visit()
    other.triage("/?" + page.url.split("?", 1)[1])
    assert rows_said(other.page) == few
    assert other.page.locator(".st-key-filters [class*=st-key-chip]").count() == 3


def test_filters_combine_and_are_taken_back(visit):
    here = visit()
    page = here.triage("/?screen=triage&rows=all&where=region%3Dapac")
    apac = rows_said(page)
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("text contains").fill("camera")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_text("text: camera").wait_for()
    page.wait_for_selector(SETTLED)
    assert 0 < rows_said(page) < apac
    page.get_by_role("button", name="region: apac").click()
    page.get_by_role("button", name="region: apac").wait_for(state="hidden")
    page.wait_for_selector(SETTLED)
    assert "where=" not in page.url
    for tab in ("Confusion", "Calibration", "Slices", "Failure map"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(SETTLED)
        page.locator(".st-key-triage-shape [data-testid=stPlotlyChart], .st-key-triage-shape canvas").first.wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (1024, "light"), (420, "dark")])
def test_it_fits_every_width_and_theme(visit, width, scheme):
    here = visit(width=width, scheme=scheme)
    page = here.triage()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    here.shot(f"triage {scheme} {width}")
