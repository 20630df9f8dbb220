"""A model of each way to fuse, as a team has it on disk, and a team's own: their panels in a real browser."""

from __future__ import annotations

import re
import sys

import pytest
from playwright.sync_api import expect

from fusion_core.words import say
from tests.browser.conftest import Visit
from tests.browser.serving import DASHBOARD, serving
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.tiny import FAMILIES

#: One of each way to fuse: late, early, cross-attention, decoder; and labels that are each a reading.
SHOWN = ("clip", "vilt", "blip", "llava", "flava")
OWN = "tests.fusion_core.own_example:make"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    folders = [FAMILIES[name](tmp_path_factory.mktemp("models") / name) for name in SHOWN]
    named = [part for folder in folders for part in ("--model", str(folder))]
    asked = ("--labels", "red,blue,a photo of the cat", "--records", str(SAMPLES / "scene_qa" / "test"))
    with serving((*DASHBOARD, *named, "--model-object", OWN, *asked)) as address:
        yield address


@pytest.mark.parametrize("name", [*SHOWN, "concat_pooled"])
def test_a_foreign_model_shows_its_panels_and_claims_no_accuracy(browser, foreign, name):
    visit = Visit(browser, foreign)
    model = OWN if name == "concat_pooled" else name
    page = visit.open(f"/?screen=inspect&model={model}&record=sq-test-0001")
    card = page.locator(f'[data-strategy="{name}"]')
    expect(card).to_contain_text("accuracy not known: used as loaded")
    expect(card).to_contain_text("parameters")
    if name != "concat_pooled":
        expect(card).to_contain_text("cpu · float32 · ")
    board = page.inner_text(".board")
    assert "marginal donors" in board
    assert "val =" not in board
    assert "contributions add up to full minus base" in board
    if name == "concat_pooled":
        assert "This strategy fuses without attention between tokens" in board
    else:
        assert say(name) in board
        assert "rollout" in board
        assert "relevancy" in board
    if name == "llava":
        assert page.get_by_test_id("free-answer").inner_text().strip()
        assert "The place of the answer attends to" in board
        assert "word pieces" in board
    if name in ("clip", "llava"):
        assert "attention written out, as gradients need it, gives the same answer" in board
    visit.complete()
    assert visit.complaints == []
    visit.shot(f"foreign-{name}")
    visit.context.close()


def test_what_takes_long_under_a_heavy_model_is_offered_with_its_cost(browser, tmp_path):
    asked = ("--labels", "red,blue", "--records", str(SAMPLES / "scene_qa" / "test"))
    command = (sys.executable, "-m", "tests.browser.heavy_dashboard", "--no-browser")
    with serving((*command, "--model", str(FAMILIES["clip"](tmp_path / "clip")), *asked)) as address:
        visit = Visit(browser, address)
        page = visit.open("/?screen=inspect&record=sq-test-0001")
        badge = page.locator("[data-pane=main] [data-testid=badge]")
        expect(badge).to_have_text(re.compile(r"Test this map: about \d+ s"))
        visit.complete()
        page.wait_for_timeout(1_000)
        expect(badge).to_have_text(re.compile("Test this map"))
        visit.shot("heavy-offer")
        badge.click()
        expect(badge).to_have_text(re.compile("trusted|weak|no better than random"))
        page.click("[data-control=view] [data-value=attribution]")
        page.get_by_text("Signed scores to the logit of").first.wait_for()
        expect(badge).to_have_text(re.compile("Test this map"))
        visit.shot("heavy-attribution")
        assert visit.complaints == []
        visit.context.close()


def test_the_cause_is_looked_for_under_a_heavy_model_when_somebody_asks(browser):
    with serving((sys.executable, "-m", "tests.browser.heavy_dashboard", "--no-browser")) as address:
        visit = Visit(browser, address)
        page = visit.open("/?screen=inspect&model=scene_qa&record=sq-test-0247")
        panel = page.locator(".st-key-cause")
        panel.get_by_role("button", name="Look for the cause").click()
        expect(panel).to_contain_text("of belief")
        expect(panel.get_by_role("button", name="Look for the cause")).to_have_count(0)
        assert visit.complaints == []
        visit.context.close()


def test_heads_of_a_model_that_reads_each_label_are_named_by_it(browser, foreign):
    visit = Visit(browser, foreign)
    page = visit.open("/?screen=inspect&model=flava&record=sq-test-0001&layer=stream 1")
    visit.complete()
    heads = page.locator('[data-control="head"] select')
    assert heads.locator("option").all_inner_texts()[:3] == [
        "all heads",
        "\u201cred\u201d, head 1",
        "\u201cred\u201d, head 2",
    ]
    expect(page.locator('[data-testid="line"]')).to_contain_text("mean of 2 heads, each read with 3 labels")
    heads.select_option("3")
    expect(page.locator('[data-testid="line"]')).to_contain_text("\u201cblue\u201d, head 2 of 2")
    page.locator('[data-testid="heads"]').click()
    expect(page.locator('[data-testid="overview"]')).to_contain_text("stream 1, \u201ca photo of the cat\u201d")
    assert visit.complaints == []
    visit.shot("foreign-heads-of-labels")
    visit.context.close()
