"""Journey: which strategy should we run? Side by side on one record, on the set, and what would have changed."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visit
from tests.browser.steps import press
from tests.conftest import SAMPLES

SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
CARD = "[class*=st-key-compare-card-]"
SIGNS = {"scene_qa": "needs relations between modalities", "feedback": "independent witnesses"}


def compare(here: Visit, **link: str):
    """Open Compare by a link and wait until it stands."""
    query = "&".join(f"{name}={value}" for name, value in ({"screen": "compare"} | link).items())
    here.page.goto(f"{here.address}/?{query}")
    here.page.wait_for_selector(".st-key-compare-bar")
    here.page.wait_for_selector(SETTLED)
    return here.page


def wait_for_cards(page) -> None:
    page.wait_for_selector(f"{CARD} .one-head")
    page.wait_for_selector(SETTLED)
    page.wait_for_function(f"document.querySelectorAll('{CARD} .one-head').length === 10")


def overflow(page) -> int:
    return page.evaluate(
        "(() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth; })()"
    )


@pytest.mark.parametrize(("model", "record"), [("scene_qa", "sq-test-0556"), ("feedback", "fb-test-0238")])
def test_all_strategies_stand_on_one_screen(visit, model, record):
    here = visit()
    here.page.set_viewport_size({"width": 1440, "height": 900})
    page = compare(here, model=model, record=record, today="late")
    wait_for_cards(page)
    bottom = page.evaluate(
        f"Math.max(...[...document.querySelectorAll('{CARD}')].map((c) => c.getBoundingClientRect().bottom))"
    )
    assert bottom <= 900
    assert overflow(page) <= 0
    here.shot(f"compare record {model} light 1440")


def test_a_click_on_a_strategy_opens_the_record_in_inspect_under_it(visit):
    here = visit()
    page = compare(here, model="scene_qa", record="sq-test-0556")
    wait_for_cards(page)
    late = page.locator(".st-key-compare-card-late")
    crossed = page.locator(".st-key-compare-card-cross_attention")
    assert "yellow" in late.inner_text()
    assert "purple" in crossed.inner_text()
    assert "attention" in crossed.locator(".what").inner_text()
    assert "attribution" in late.locator(".what").inner_text()
    press(late.get_by_role("button"), page.locator('[data-testid="headline"]'))
    here.settle()
    assert page.locator('[data-strategy="late"][aria-checked="true"]').count() == 1
    assert "record=sq-test-0556" in page.url
    assert "strategy=late" in page.url


def test_those_that_answer_otherwise_than_today_are_marked(visit):
    page = compare(visit(), model="scene_qa", record="sq-test-0556", today="late")
    wait_for_cards(page)
    assert "≠ late" in page.locator(".st-key-compare-card-cross_attention").inner_text()
    assert "≠" not in page.locator(".st-key-compare-card-late").inner_text()


@pytest.mark.parametrize("model", SIGNS)
def test_the_verdict_has_the_right_sign(visit, model):
    if not (SAMPLES / model / "test" / "comparison.json").is_file():
        pytest.skip("no comparison of this sample set was made")
    here = visit()
    page = compare(here, model=model, part="set")
    page.wait_for_selector(".verdict-card .needs")
    page.wait_for_selector(SETTLED)
    assert page.inner_text(".verdict-card .needs") == SIGNS[model]
    page.locator(".st-key-compare-box-faults .stPlotlyChart").first.wait_for()
    assert page.locator(".strategies tbody tr").count() == 10
    assert overflow(page) <= 0
    here.shot(f"compare set {model} light 1440")


def test_a_record_that_another_strategy_fixes_opens_under_it(visit):
    here = visit()
    page = compare(here, model="scene_qa", part="changed", today="late", strategy="cross_attention")
    page.wait_for_selector(".st-key-compare-box-records .dvn-scroller")
    page.wait_for_selector(SETTLED)
    assert "Cross-attention fixes 263 of 282 failures and breaks 3" in page.inner_text(".st-key-compare-box-changed")
    here.shot("compare changed light 1440")
    page.locator(".st-key-compare-box-records .dvn-scroller").first.click(position={"x": 300, "y": 60})
    page.wait_for_selector('[data-testid="headline"]')
    here.settle()
    assert page.locator('[data-strategy="cross_attention"][aria-checked="true"]').count() == 1
    assert "strategy=cross_attention" in page.url


@pytest.mark.parametrize(
    ("width", "scheme", "part"),
    [
        (1440, "dark", "record"),
        (1024, "light", "record"),
        (420, "dark", "record"),
        (1024, "dark", "set"),
        (420, "light", "set"),
        (420, "light", "changed"),
    ],
)
def test_it_fits_every_width_and_theme(visit, width, scheme, part):
    here = visit(width=width, scheme=scheme)
    page = compare(here, model="feedback", part=part)
    page.wait_for_selector(".st-key-compare-cards .one-head, [class*=st-key-compare-box-]")
    page.wait_for_selector(SETTLED)
    assert overflow(page) <= 0
    here.shot(f"compare {part} {scheme} {width}")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (420, "dark")])
def test_the_help_page_leads_to_a_record_that_shows_it(visit, width, scheme):
    here = visit(width=width, scheme=scheme)
    page = here.page
    page.goto(f"{here.address}/?screen=guide")
    page.wait_for_selector(".decide")
    page.wait_for_selector(SETTLED)
    assert overflow(page) <= 0
    here.shot(f"guide {scheme} {width}")
    press(page.get_by_role("button", name="sq-test-0556").first, page.locator('[data-testid="headline"]'))
    here.settle()
    assert "record=sq-test-0556" in page.url
    assert "strategy=late" in page.url
