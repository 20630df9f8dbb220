"""Exploring: from a red number to what each strategy looks at, in a real browser on the shipped samples."""

from __future__ import annotations

import re

import pytest

from tests.browser.steps import choose, number, rows, shown_record, swap


def printed_sum(sentence: str) -> tuple[list[float], float, float, float, int]:
    """Read "Sum a + b − c = total = full x − base (−y)": parts, total, full, base and decimals."""
    left, middle, right = sentence.replace("−", "-").removeprefix("Sum").split("=")
    parts = [float(sign + value) for sign, value in re.findall(r"(-?)(\d+\.\d+)", left.replace(" ", ""))]
    full, base = re.fullmatch(r"full (-?[\d.]+) - base \(?(-?[\d.]+)\)?", right.strip()).groups()
    return parts, float(middle), float(full), float(base), len(middle.strip().split(".")[1])


def test_a_wrong_prediction_stands_first_and_every_strategy_has_its_own_answer(visit):
    here = visit()
    page = here.open()
    assert re.match(r"Predicted\s+\w+", here.text("headline"))
    assert here.text("prediction") != here.text("truth").split()[-1]
    assert page.locator("[data-strategy]").count() == 10
    here.shot("first-light-1440")
    for name in ("concat", "early", "cross_attention"):
        swap(here, name)
        card = page.inner_text(f'[data-strategy="{name}"]')
        assert here.text("prediction") in card
        assert here.text("confidence").strip() in card
        assert name.replace("_", "-") in here.text("ledger")
    page.wait_for_url(re.compile("strategy=cross_attention"))


def test_the_printed_ledger_adds_up_under_every_strategy(visit):
    here = visit()
    here.open()
    for name in ("late", "concat", "early", "cross_attention"):
        swap(here, name)
        parts, total, full, base, digits = printed_sum(here.text("ledger-sum"))
        assert number(here.text("ledger-total")) == total
        assert round(sum(parts), digits) == total
        assert round(full - base, digits) == total
        assert [number(here.text(f"ledger-{m}")) for m in ("text", "image", "audio")] == parts


def test_a_printed_sum_is_read_with_its_signs():
    read = printed_sum("Sum −0.72 + 3.34 − 0.41 = 2.21 = full 1.75 − base (−0.46)")
    assert read == ([-0.72, 3.34, -0.41], 2.21, 1.75, -0.46, 2)


def test_a_token_lights_up_both_ways_and_a_click_pins_it_into_the_link(visit):
    here = visit()
    page = here.open("/?strategy=cross_attention")
    page.hover('[data-token="text:1"]')
    page.get_by_text("attends to:").first.wait_for()
    assert "is attended by:" in here.text("line")
    assert "an even share" in here.text("line")
    assert page.locator(".legend .back").is_visible()
    for way, words in (("attends to", "attends to:"), ("attended by", "is attended by:")):
        page.get_by_role("radio", name=way, exact=True).click()
        page.hover('[data-token="text:1"]')
        page.get_by_text(words).first.wait_for()
    page.get_by_role("radio", name="both ways").click()
    page.click('[data-token="text:1"]')
    page.wait_for_url(re.compile("token=text%3A1|token=text:1"))
    here.shot("pinned-1440")
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "token=" not in url)


def test_cells_and_seconds_are_walked_by_keyboard_and_pinned(visit):
    here = visit()
    page = here.open("/?strategy=cross_attention")
    swap(here, "cross_attention")
    for lane, keys, pinned, said in (
        ("image", ["ArrowRight", "ArrowDown"], "image:8", "image row 2, column 2"),
        ("audio", ["ArrowRight", "ArrowRight"], "audio:2", "audio"),
    ):
        page.locator(f'[data-testid="{lane}"]').focus()
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"token={pinned.replace(':', '(%3A|:)')}"))
        assert here.text("line").startswith(said)
    assert page.locator('[data-testid="play-from"]').is_visible()


def test_the_strip_is_one_stop_of_the_keyboard_and_arrows_swap(visit):
    here = visit()
    page = here.open("/?strategy=late")
    page.focus('[data-strategy="late"]')
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('[data-strategy="product_of_experts"][aria-checked="true"]')
    page.keyboard.press("End")
    page.wait_for_selector('[data-strategy="cross_attention"][aria-checked="true"]')
    assert page.locator('[data-strategy][tabindex="0"]').count() == 1
    assert "cross-attention:" in here.text("live")


def test_audio_plays_from_the_pinned_second_and_can_be_enlarged(visit):
    here = visit()
    page = here.open("/?strategy=early&token=audio:12")
    start = number(re.search(r"\(([\d.]+) s\)", here.text("play-from")).group(1))
    assert start > 0
    page.click('[data-testid="play-from"]')
    page.get_by_role("button", name="Pause the audio").wait_for()
    head = page.locator(".playhead").first
    head.wait_for(state="visible")
    page.get_by_role("button", name="Pause the audio").click()
    page.get_by_role("button", name="Play the audio").wait_for()
    narrow = page.locator('[data-testid="audio"]').bounding_box()["width"]
    page.get_by_role("button", name="Show fewer seconds, larger").click()
    assert page.locator('[data-testid="audio"]').bounding_box()["width"] == pytest.approx(2 * narrow, abs=2)
    assert page.locator(".zoom .caption").first.inner_text() == "2×"


def test_late_fusion_says_in_a_sentence_why_there_is_no_attention(visit):
    here = visit()
    here.open("/?strategy=late")
    assert "no attention between modalities" in here.text("sentence")


def test_one_target_switch_moves_bars_ledger_and_attribution_without_the_server(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=cross_attention&view=attribution")
    here.complete()
    assert page.locator('[data-testid="target"] option').count() == 15
    here.context.set_offline(True)
    for name in ("square", "no", "purple"):
        choose(here, "target", name)
        assert f"to “{name}”" in page.inner_text(".strip-note")
        assert f"to “{name}”" in here.text("ledger")
        assert f"to the logit of {name}" in here.text("line")
    here.context.set_offline(False)
    here.complaints.clear()  # the browser reports the connection that was cut on purpose


def test_the_input_seam_is_worked_out_for_what_is_shown(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=late&view=attribution")
    page.get_by_role("radio", name="input seam").click()
    line = page.locator('[data-testid="line"]')
    line.filter(has_text="integrated gradients (text), occlusion (image)").wait_for()
    assert "image" in here.text("line")
    here.settle()
    choose(here, "target", "square")
    line.filter(has_text=re.compile("Attributing what was written|Working: ")).wait_for()
    line.filter(has_text="to the logit of square").wait_for()
    page.wait_for_url(re.compile("seam=input"))
    here.shot("scene-input-seam-1440")


def test_two_strategies_side_by_side_with_their_difference(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=cross_attention&record=sq-test-0556&view=attribution&target=purple")
    choose(here, "beside", "late")
    assert page.locator(".pane").count() == 3
    assert page.locator(".pane-head").all_inner_texts() == ["cross-attention", "late", "difference: second minus first"]
    first, second, difference = page.locator('[data-testid="line"]').all_inner_texts()
    sums = [number(re.search(r"image ([+−][\d.]+)", line).group(1)) for line in (first, second, difference)]
    assert sums[2] == pytest.approx(sums[1] - sums[0], abs=0.011)
    page.locator('.pane[data-pane="beside"] [data-token="text:1"]').hover()
    assert page.locator(".word.active").count() == 3
    page.wait_for_url(re.compile("beside=late"))
    here.shot("beside-1440")
    choose(here, "beside", "")
    assert page.locator(".pane").count() == 1


def test_beside_a_strategy_without_attention_both_show_attributions_and_their_difference(visit):
    here = visit()
    page = here.open("/?strategy=late")
    choose(here, "beside", "early")
    lines = page.locator('[data-testid="line"]').all_inner_texts()
    assert all("logits" in line or "logit of" in line for line in lines)
    assert "early minus late" in lines[2]
    assert "no attention between modalities" in here.text("sentence")
    swap(here, "cross_attention")
    page.get_by_role("radio", name="attention", exact=True).click()
    lines = page.locator('[data-testid="line"]').all_inner_texts()
    assert "early minus cross-attention" in lines[2]
    assert "blue: more under the second" in lines[2]


def test_similar_records_are_the_nearest_under_the_chosen_strategy_and_open(visit):
    here = visit()
    page = here.open("/?strategy=late")
    here.complete()
    cards = page.locator(".near-item")
    cards.first.wait_for()
    assert cards.count() == 5
    shown = [number(text) for text in page.locator(".near-head .num").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    labels = {row["id"]: row["label"] for row in rows(300)}
    for card in cards.all():
        assert card.locator(".near-said .caption").inner_text() == f"truth {labels[card.get_attribute('data-open')]}"
    before = [card.get_attribute("data-open") for card in cards.all()]
    swap(here, "early")
    assert [card.get_attribute("data-open") for card in cards.all()] != before
    wanted = cards.nth(2).get_attribute("data-open")
    cards.nth(2).click()
    shown_record(here, wanted)
    page.wait_for_url(re.compile(f"record={wanted}"))
    assert wanted in page.locator(".st-key-picker").inner_html()


def test_full_screen_holds_the_picture_and_is_left_again(visit):
    here = visit()
    page = here.open("/?strategy=early")
    page.click('[data-testid="full-screen"]')
    page.wait_for_function("document.fullscreenElement !== null")
    page.get_by_role("button", name="Leave full screen").click()
    page.wait_for_function("document.fullscreenElement === null")


def test_what_is_clicked_while_another_record_is_on_its_way_stays_chosen(visit):
    here = visit()
    page = here.open("/?strategy=late")
    before = here.text("record-caption")
    page.get_by_role("button", name="Next", exact=True).click()
    swap(here, "early")
    page.locator('[data-testid="record-caption"]').filter(has_not_text=before).wait_for()
    here.settle()
    assert page.locator('[data-strategy="early"]').get_attribute("aria-checked") == "true"


def test_without_a_target_the_bars_speak_to_each_strategys_own_answer(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=cross_attention")
    note = page.locator(".strip-note")
    answers = set(page.locator(".strategy .class").all_inner_texts())
    expected = "to each strategy’s own answer" if len(answers) > 1 else f"to “{answers.pop()}”"
    assert expected in note.inner_text()
    assert "audio" not in note.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 420])
def test_it_fits_the_window_in_both_themes(visit, scheme, width):
    here = visit(width=width, scheme=scheme)
    page = here.open("/?strategy=early")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    brightness = sum(int(v) for v in re.findall(r"\d+", background)[:3])
    assert (brightness < 200) == (scheme == "dark")
    assert page.locator(".st-key-bar").bounding_box()["height"] < (270 if width == 420 else 90)
    here.complete()
    here.shot(f"inspect-{scheme}-{width}")
    choose(here, "beside", "late")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    here.shot(f"beside-{scheme}-{width}")
