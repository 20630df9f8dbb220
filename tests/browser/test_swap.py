"""A swap on a foreign model in a real browser: one record under the original and under a strategy fitted beside it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from fusion_core.fit_plan import FitPlan
from fusion_core.fitting import run_fit
from fusion_core.reading.records import read
from tests.browser.conftest import Visit
from tests.browser.serving import DASHBOARD, serving
from tests.fusion_core.foreign.painted import painted
from tests.fusion_core.foreign.tiny import clip


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    """A dashboard with a bundle on a tiny CLIP's encoders."""
    folder = tmp_path_factory.mktemp("swap")
    model, records = clip(folder / "clip"), painted(folder / "painted", 60)
    run_fit(FitPlan("swap", read(records), strategies=("late", "cross_attention"), model=model), folder / "swap")
    named = ("--model", str(folder / "swap"), "--encoder-root", str(folder), "--records", str(records))
    with serving((*DASHBOARD, *named)) as address:
        yield address


def test_a_record_is_swapped_between_the_original_and_what_was_fitted_on_its_encoders(browser, swapped):
    visit = Visit(browser, swapped)
    page = visit.open("/?screen=inspect&model=swap&record=r1&strategy=clip")
    card = page.locator('[data-strategy="clip"]')
    expect(card).to_contain_text("CLIP (original)")
    expect(card).to_contain_text("as loaded, measured here")
    visit.complete()
    headline = page.locator('[data-testid="headline"]')
    expect(headline).to_contain_text("red")
    visit.shot("swap-original")
    page.locator('[data-strategy="late"]').click()
    expect(headline).to_contain_text("blue")
    visit.settle()
    visit.shot("swap-late")
    page.goto(swapped + "/?screen=compare&model=swap&record=r1")
    expect(page.locator(".st-key-compare-cards")).to_contain_text("CLIP (original)")
    visit.shot("swap-compare")
    assert visit.complaints == []
    visit.context.close()
