"""The maps: every view on both sample sets with its badge, heads at a glance, methods, contrasts, and stopping."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.serving import READY
from tests.browser.steps import choose, download, swap

BADGE = re.compile("trusted|weak|no better than random")
VIEWS = {"early": ("raw", "rollout", "relevancy"), "bottleneck": ("raw", "rollout", "relevancy")}


def press(visit, control: str, value: str) -> None:
    visit.page.click(f'[data-control="{control}"] [data-value="{value}"]')


def badge(visit):
    return visit.page.locator('[data-pane="main"] [data-testid="badge"]')


def judged(visit) -> str:
    """Wait until the map that is shown was tested, and return its badge."""
    expect(badge(visit)).to_have_text(BADGE)
    return badge(visit).inner_text()


@pytest.mark.parametrize(
    ("model", "tried", "asked"),
    [("feedback", tuple(VIEWS), ("occlusion", "gradient_shap", "grad_cam")), ("scene_qa", ("early",), ("occlusion",))],
    ids=["feedback", "scene_qa"],
)
def test_every_view_is_shown_with_its_badge(visit, model, tried, asked):
    here = visit()
    page = here.open(f"/?model={model}&strategy=early")
    here.complete()
    for strategy in tried:
        swap(here, strategy)
        for view in VIEWS[strategy]:
            press(here, "map", view)
            judged(here)
            assert re.search("attends to|query tokens|reaches the answer", here.text("line"))
    press(here, "view", "attribution")
    methods = page.locator('[data-testid="method"] option').evaluate_all("all => all.map((one) => one.value)")
    assert len(methods) == 9
    for method in asked:
        choose(here, "method", method)
        expect(page.locator('[data-pane="main"] .line')).to_contain_text("fusion seam")
        judged(here)
    here.shot(f"badges-{model}-1440")


def test_the_badge_opens_the_curves_of_all_tokens_and_of_each_modality(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=cross_attention&map=relevancy")
    judged(here)
    badge(here).click()
    curves = page.locator('[data-testid="curves"]')
    expect(curves.locator("svg")).to_have_count(2)
    expect(curves.get_by_role("radio")).to_have_count(3)
    curves.get_by_role("radio").nth(2).click()
    expect(curves).to_contain_text("Only the image tokens were moved")
    expect(curves).to_contain_text("20 random orders")
    expect(curves).to_contain_text("polarity")
    expect(curves).to_contain_text("random heads")
    expect(curves).to_contain_text("Spearman")
    here.shot("curves-1440")
    badge(here).click()
    expect(curves).to_be_hidden()


def test_heads_at_a_glance_open_a_head(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=cross_attention")
    here.complete()
    page.click('[data-testid="heads"]')
    tiles = page.locator('[data-testid="overview"] .tile')
    expect(tiles).to_have_count(12)
    expect(tiles.first).to_contain_text(re.compile(r"1 · \d"))
    tiles.nth(5).click()
    expect(tiles.nth(5)).to_have_attribute("aria-pressed", "true")
    assert "pairs 2, head 2 of 4" in here.text("line")
    here.shot("heads-1440")


def test_a_link_leads_to_a_method_and_a_contrast(visit):
    here = visit()
    here.open("/?model=scene_qa&strategy=film&view=attribution&method=feature_ablation&target=green&against=red")
    expect(here.page.locator('[data-pane="main"] .line')).to_contain_text("feature ablation, fusion seam")
    assert "unit: logit minus that of “red”" in here.text("line")
    judged(here)


def test_a_slow_method_says_what_it_costs_begins_when_asked_and_can_be_stopped(visit):
    here = visit()
    page = here.open("/?model=feedback&strategy=early&view=attribution&seam=input&method=shapley_sampling")
    here.complete()
    offer = page.locator('[data-testid="offer"]')
    expect(offer).to_contain_text(re.compile(r"[\d,]+ passes, about \d+ s on this record"))
    offer.get_by_role("button", name="Start").click()
    page.get_by_text(re.compile(r"[\d,]+ of [\d,]+ passes, about \d+ s left")).first.wait_for()
    offer.get_by_role("button", name="Stop").click()
    expect(page.locator(READY)).to_be_attached(timeout=10_000)  # of a minute or so
    expect(page.get_by_text(re.compile(r"[\d,]+ of [\d,]+ passes"))).to_have_count(0)
    expect(offer.get_by_role("button", name=re.compile("Start"))).to_be_visible()


def test_a_method_that_does_not_work_at_a_seam_says_so(visit):
    here = visit()
    here.open("/?model=scene_qa&strategy=early&view=attribution&seam=input&method=grad_cam")
    here.complete()
    assert "grad cam does not work at the input seam" in here.text("line").replace("-", " ").lower()


def test_what_would_flip_the_answer_and_what_pushed_it(visit):
    here = visit()
    page = here.open("/?model=feedback&strategy=late")
    here.complete()
    page.get_by_role("button", name="What would flip this answer?").click()
    changes = page.locator(".st-key-changes")
    expect(changes).to_contain_text(re.compile("Late leaves|Nothing that was tried moves late"))
    page.get_by_role("button", name="Which training records pushed it?").click()
    influence = page.locator(".st-key-influence")
    expect(influence).to_contain_text("Among 200 training records of the 800 it was fitted on")
    expect(influence.locator(".pushed")).to_have_count(10)
    expect(influence.locator("audio")).to_have_count(10)
    here.shot("deeper-1440")
    swap(here, "gated")
    expect(influence).to_contain_text("when gated is trained on them")
    expect(changes).to_contain_text(re.compile("Gated leaves|Nothing that was tried moves gated"))
    page.get_by_role("button", name="Next", exact=True).click()
    expect(changes).to_have_count(0)


def test_deeper_questions_fit_a_phone_in_the_dark(visit):
    here = visit(width=420, scheme="dark")
    page = here.open("/?model=scene_qa&strategy=cross_attention")
    here.complete()
    page.get_by_role("button", name="What would flip this answer?").click()
    page.locator(".st-key-changes").wait_for()
    page.get_by_role("button", name="Which training records pushed it?").click()
    expect(page.locator(".pushed").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    here.shot("deeper-420")


def test_the_case_file_of_what_is_shown_can_be_taken_away(visit):
    here = visit()
    here.open("/?model=scene_qa&strategy=early&record=sq-test-0003")
    here.complete()
    page = download(here, "Save a case file")
    assert "Content-Security-Policy" in page
    assert "sq-test-0003" in page
    assert "<script" not in page
