"""Journey: fit two strategies on records of one's own, watch, and see them on the other screens."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from playwright.sync_api import expect

from tests.browser.serving import READY
from tests.browser.steps import DIALOG, download, drop, press
from tests.dashboard.small_set import small_set

TITLE = "What shall be fitted?"


def fit_screen(visit, path: str = "/?screen=fit"):
    """Open Fit and wait until it stands."""
    visit.page.goto(visit.address + path)
    visit.page.get_by_text(TITLE).wait_for()
    visit.page.wait_for_selector(READY)
    return visit.page


def bring(visit, data: bytes, name: str = "weather.zip") -> None:
    """Upload a record set to fit on."""
    page = visit.page
    dialog = page.locator(DIALOG)
    read = dialog.get_by_role("button", name="Read this record set")
    press(page.get_by_role("button", name="Upload").first, read)
    drop(visit, "upload set", {"name": name, "mimeType": "application/zip", "buffer": data})
    read.click()
    page.get_by_text(f"What is in {name}?").wait_for()
    page.wait_for_selector(READY)


def only(visit, *names: str) -> None:
    """Choose only these strategies: the first click on a pill takes one away."""
    pills = visit.page.locator('.st-key-fit-choices [data-testid="stButtonGroup"] button')
    for k in range(pills.count()):
        if pills.nth(k).inner_text().split(" · ")[0] not in names:
            pills.nth(k).click()
            visit.page.wait_for_selector(READY)


def start(visit, what: str) -> None:
    visit.page.get_by_role("button", name=f"Fit {what}").click()


def ended(visit):
    """Wait until a fit has ended, and return the rows of its table."""
    rows = visit.page.locator(".fit-result tbody tr")
    rows.first.wait_for()
    visit.page.wait_for_selector(READY)
    return rows


def test_two_strategies_are_fitted_on_an_upload_and_open_on_the_other_screens(visit):
    here = visit(accept_downloads=True)
    page = fit_screen(here)
    bring(here, small_set(damaged=True))
    account = page.locator(".st-key-fit-set")
    assert "60" in account.inner_text()
    for name in ("alarm", "calm", "rain"):
        assert name in account.inner_text()
    page.get_by_text("58 read whole, 1 read without a file that is damaged, 1 refused").wait_for()
    here.shot("fit-set-light-1440")
    only(here, "late", "concat")
    start(here, "2 strategies")
    page.locator(".fit-progress li").first.wait_for()
    here.shot("fit-running-light-1440")
    fit_screen(here, "/?" + page.url.split("?", 1)[1])  # anew: a reload at /fit asks for files that are not there
    rows = ended(here)
    assert rows.count() == 2
    assert {row.split("\n")[0].split("\t")[0] for row in rows.all_inner_texts()} == {"late", "concat"}
    page.get_by_text("11 records held out of 59").wait_for()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Bundle (zip)").click()
    with zipfile.ZipFile(taken.value.path()) as archive:
        assert {"mine/model.json", "mine/README.md", "mine/strategies/late.safetensors"} <= set(archive.namelist())
    page.get_by_text("Model card").click()
    expect(page.locator(".fit-card")).to_contain_text("Fingerprint")
    here.shot("fit-result-light-1440")
    stranger = visit()
    fit_screen(stranger)
    assert "“mine”" not in stranger.page.inner_text("body")
    stranger.page.goto(here.address + "/?screen=inspect&model=mine")
    stranger.page.get_by_text("This link names the model mine").wait_for()
    if page.get_by_role("button", name="Compare its strategies").count():
        press(page.get_by_role("button", name="Compare its strategies"), page.locator(".st-key-compare-bar"))
        page.wait_for_selector(READY)
        assert "model=mine" in page.url
        for name in ("late", "concat"):
            page.get_by_test_id("stMain").get_by_text(name, exact=True).first.wait_for()
        here.shot("fit-compare-1440")
        page.get_by_role("link", name="Fit", exact=True).click()
        ended(here)
    press(page.get_by_role("button", name="Open in Inspect"), page.locator('[data-testid="headline"]'))
    here.settle()
    assert "model=mine" in page.url
    assert page.locator("[data-strategy]").count() == 2
    assert "weather.zip" in page.inner_text("body")
    here.shot("fit-inspect-1440")


def test_labels_are_reviewed_decided_and_fitted_again(visit):
    here = visit(accept_downloads=True)
    page = fit_screen(here)
    bring(here, small_set(wrong=3))
    only(here, "late")
    start(here, "late")
    ended(here)
    page.get_by_role("button", name="Look for suspect labels").click()
    suspects = page.locator(".suspect")
    suspects.first.wait_for()
    page.wait_for_selector(READY)
    assert set(re.findall(r"r00[012]", " ".join(suspects.all_inner_texts()))) == {"r000", "r001", "r002"}
    assert page.locator(".st-key-fit-review audio").count() > 0
    here.shot("fit-review-light-1440")
    for name in ("take", "leave out"):
        box = page.locator('.st-key-fit-review [data-testid="stButtonGroup"]').nth(0 if name == "take" else 1)
        box.get_by_role("radio", name=re.compile(f"^{name}")).click()
        page.wait_for_selector(READY)
    page.get_by_text("Decided: 1 changed, 1 left out.").wait_for()
    lines = [json.loads(line) for line in download(here, "Decisions (JSON lines)").splitlines()]
    assert [line["label"] for line in lines][1] is None
    page.get_by_role("button", name="Fit again with these decisions").click()
    page.get_by_text("records held out of 59").wait_for()
    assert "“mine-2” is fitted" in page.inner_text("body")


def test_a_fit_that_is_stopped_keeps_what_is_done(visit):
    here = visit()
    page = fit_screen(here)
    bring(here, small_set())
    start(here, "10 strategies")
    page.locator(".fit-progress li.done").first.wait_for()
    here.shot("fit-half-way-1440")
    page.get_by_role("button", name="Stop, keep what is done").click()
    rows = ended(here)
    assert 1 <= rows.count() < 10
    page.get_by_text("stopped early and keeps what was done").wait_for()


@pytest.mark.parametrize("name", ["../up", "a b", "<img src=x onerror=alert(1)>"], ids=["path", "space", "markup"])
def test_a_nonsense_name_is_refused(visit, name):
    here = visit()
    page = fit_screen(here)
    field = page.get_by_label("Name of the bundle")
    field.fill(name)
    field.press("Enter")
    page.get_by_text("letters a to z, digits, dash, underscore").wait_for()
    expect(page.get_by_role("button", name="Fit 10 strategies")).to_be_disabled()


def test_it_fits_every_width_and_theme(visit):
    """One fit, looked at in every size: while it runs, and when it is done."""
    here = visit(width=420, scheme="dark")
    page = fit_screen(here)

    def looked_at(stage):
        for width, scheme in ((420, "dark"), (420, "light"), (1440, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
            here.shot(f"fit-{stage}-{scheme}-{width}")

    bring(here, small_set(45))
    only(here, "late", "concat", "gated")
    start(here, "3 strategies")
    page.locator(".fit-progress li").first.wait_for()
    looked_at("running")
    ended(here)
    page.get_by_text("How it learned").click()
    page.locator(".st-key-fit-job .js-plotly-plot").wait_for()
    looked_at("result")
