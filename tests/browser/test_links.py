"""Links and demos: what is on the screen is in the address, and a room can read it."""

from __future__ import annotations

import re

import pytest

from tests.browser.steps import choose, shown_record, swap


def test_a_copied_link_opens_the_same_view_in_another_browser(visit):
    here = visit(permissions=["clipboard-read", "clipboard-write"])
    page = here.open("/?model=scene_qa")
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_timeout(300)
    here.settle()
    swap(here, "early")
    choose(here, "target", "yes")
    page.get_by_role("radio", name="stream 2").click()
    page.get_by_role("radio", name="attends to", exact=True).click()
    page.get_by_role("radio", name="3", exact=True).click()
    page.click('[data-token="text:2"]')
    page.hover("h3 >> nth=1")
    page.click('[data-testid="copy-link"]')
    page.get_by_text("Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = visit()
    other.open("/" + link.split("/", 3)[3])
    other.page.hover("h3 >> nth=1")
    for part in ("record-caption", "line", "headline", "ledger-sum"):
        assert other.text(part) == here.text(part)
    assert other.page.locator(".word.pinned").count() == 1
    for name in ("stream 2", "attends to", "3"):
        assert other.page.get_by_role("radio", name=name, exact=True).get_attribute("aria-checked") == "true"


def test_the_address_holds_model_record_strategy_screen_and_view(visit):
    here = visit()
    page = here.open("/?strategy=concat")
    page.wait_for_url(re.compile("screen=inspect"))
    for part in ("model=feedback", "record=fb-test-", "strategy=concat", "view=attention"):
        assert part in page.url


def test_where_the_clipboard_is_closed_the_link_is_shown(visit):
    here = visit()
    page = here.open()
    page.evaluate("() => void (navigator.clipboard.writeText = () => Promise.reject(new Error('closed')))")
    page.click('[data-testid="copy-link"]')
    field = page.get_by_label("Link to this view")
    field.wait_for()
    assert "record=fb-test-" in field.input_value()


def test_a_nonsense_link_opens_the_default(visit):
    here = visit()
    here.open(
        "/?model=nope&record=%00..%2F&strategy=osmosis&token=text:99999&view=magic&target=%3Cb%3E&seam=x&head=-7"
        "&layer=none&beside=osmosis&direction=up&set=nobody&screen=cellar"
    )
    assert here.text("headline").startswith("Predicted")


def test_the_first_screen_is_found_by_its_name_too(visit):
    page = visit().triage("/triage")
    assert page.get_by_text("Page not found").count() == 0


def test_a_class_that_the_other_model_has_not_is_let_go(visit):
    here = visit()
    page = here.open("/?model=feedback&view=attribution&seam=input&target=purple&beside=late&strategy=late")
    page.locator('[data-testid="line"]').filter(has_text="integrated gradients (text").first.wait_for()
    here.settle()
    assert page.get_by_role("alert").count() == 0
    assert page.locator('[data-testid="target"]').input_value() == ""
    assert page.locator(".pane").count() == 1


def test_the_presenters_keys_work_after_a_click_on_the_board(visit):
    here = visit()
    page = here.open("/?screen=present&strategy=cross_attention")
    page.click('[data-token="text:1"]')
    page.keyboard.press("3")
    page.wait_for_selector('[data-strategy="concat"][aria-checked="true"]')
    page.keyboard.press("0")
    page.wait_for_selector('[data-strategy="cross_attention"][aria-checked="true"]')
    page.click('[data-token="text:1"]')
    page.keyboard.press("PageDown")
    page.get_by_text("2 of 300").first.wait_for()


def test_back_and_forward_open_what_their_address_says(visit):
    here = visit()
    page = here.open("/?strategy=early")

    def stands(record, strategy):
        page.locator('[data-testid="record-caption"]').filter(has_text=record).wait_for()
        page.wait_for_selector(f'[data-strategy="{strategy}"][aria-checked="true"]')
        here.settle()
        page.wait_for_url(re.compile(f"record={record}"))
        page.wait_for_timeout(2_100)  # an address replaced moments ago is taken for a late one

    first = here.text("record-caption").split()[1]
    page.wait_for_timeout(2_100)
    page.get_by_role("button", name="Next", exact=True).click()
    page.locator('[data-testid="record-caption"]').filter(has_not_text=first).wait_for()
    second = here.text("record-caption").split()[1]
    stands(second, "early")
    swap(here, "late")
    stands(second, "late")
    page.go_back()
    stands(second, "early")
    page.go_back()
    stands(first, "early")
    assert first in page.locator(".st-key-picker").inner_html()
    page.go_forward()
    stands(second, "early")
    page.get_by_role("link", name="Present").click()
    page.wait_for_url(re.compile("screen=present"))
    stands(second, "early")
    page.keyboard.press("PageDown")
    page.locator('[data-testid="record-caption"]').filter(has_not_text=second).wait_for()
    page.wait_for_timeout(2_100)
    page.go_back()
    stands(second, "early")
    assert "/present" in page.url


def test_the_presenter_walks_through_the_list_by_keyboard(visit):
    here = visit()
    page = here.open("/?screen=present&strategy=cross_attention")
    page.wait_for_url(re.compile("/present"))
    assert "1 of 300" in here.text("walk")
    before = here.text("record-caption")
    page.keyboard.press("PageDown")
    page.get_by_text("2 of 300").first.wait_for()
    here.settle()
    assert here.text("record-caption") != before
    page.keyboard.press("3")
    page.wait_for_selector('[data-strategy="concat"][aria-checked="true"]')
    page.keyboard.press("ArrowLeft")
    page.get_by_text("1 of 300").first.wait_for()
    here.settle()
    assert here.text("record-caption") == before
    assert page.locator('[data-strategy="concat"]').get_attribute("aria-checked") == "true"
    record = here.text("record-caption").split()[1]
    page.get_by_role("link", name="Inspect").click()
    page.wait_for_url(re.compile("screen=inspect"))
    shown_record(here, record)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 420])
def test_the_presenters_view_is_large_and_fits(visit, scheme, width):
    here = visit(width=width, scheme=scheme)
    page = here.open("/?screen=present&strategy=early")
    headline = page.locator('[data-testid="headline"]')
    assert headline.evaluate("node => parseFloat(getComputedStyle(node).fontSize)") >= 34
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    here.complete()
    here.shot(f"present-{scheme}-{width}")
