"""What a user does with Inspect, in a real browser on the shipped samples."""

from __future__ import annotations

import io
import json
import re

import pytest
from PIL import Image

from tests.conftest import SAMPLES

TEST = SAMPLES / "feedback" / "test"


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("+", ""))


def printed_sum(sentence: str) -> tuple[list[float], float, float, float, int]:
    """Read "Sum a + b − c = total = full x − base (−y)": parts, total, full, base and decimals."""
    left, middle, right = sentence.replace("−", "-").removeprefix("Sum").split("=")
    parts = [float(sign + value) for sign, value in re.findall(r"(-?)(\d+\.\d+)", left.replace(" ", ""))]
    full, base = re.fullmatch(r"full (-?[\d.]+) - base \(?(-?[\d.]+)\)?", right.strip()).groups()
    return parts, float(middle), float(full), float(base), len(middle.strip().split(".")[1])


def swap(visit, name):
    visit.page.click(f'[data-strategy="{name}"]')
    visit.page.wait_for_selector(f'[data-strategy="{name}"][aria-checked="true"]')


def upload(visit, text="", image=None, audio=None):
    page = visit.page
    page.get_by_role("button", name="Upload").click()
    page.get_by_label("Text", exact=True).fill(text)
    inputs = page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    if image:
        inputs.nth(0).set_input_files(image)
        page.locator("[data-testid=stFileChipName]").first.wait_for()
    if audio:
        inputs.nth(1).set_input_files(audio)
        page.get_by_text(audio["name"]).first.wait_for()
    page.get_by_role("button", name="Inspect this record").click()


def picture_file(name="reaction.png"):
    first = json.loads((TEST / "metadata.jsonl").read_text("utf-8").splitlines()[0])
    buffer = io.BytesIO()
    Image.open(TEST / first["image_file_name"]).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def test_a_wrong_prediction_stands_first_and_every_strategy_has_its_own_answer(visit):
    here = visit()
    page = here.open()
    assert re.match(r"Predicted\s+\w+", here.text("headline"))
    assert here.text("prediction") != here.text("truth").split()[-1]
    cards = page.locator("[data-strategy]")
    assert cards.count() == 4
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


def test_a_token_lights_up_what_it_attends_to_and_a_click_pins_it_into_the_link(visit):
    here = visit()
    page = here.open("/?strategy=cross_attention")
    before = here.text("line")
    page.hover('[data-token="text:1"]')
    page.wait_for_function("before => document.querySelector('.st-key-board') !== null", arg=before)
    page.wait_for_timeout(200)
    hovered = here.text("line")
    assert hovered != before
    assert "attends to" in hovered
    page.click('[data-token="text:1"]')
    page.wait_for_url(re.compile("token=text%3A1|token=text:1"))
    here.shot("pinned-1440")
    other = visit()
    other.open("/" + page.url.split("/", 3)[3])
    assert other.page.locator(".word.pinned").count() == 1
    assert other.text("record-caption") == here.text("record-caption")


def test_late_fusion_says_in_a_sentence_why_there_is_no_attention(visit):
    here = visit()
    here.open("/?strategy=late")
    assert "no attention between modalities" in here.text("sentence")


def test_the_input_seam_and_a_target_class_can_be_chosen(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=late")
    page.get_by_label("Attribution at", exact=True).click()
    page.get_by_role("option", name="input seam").click()
    page.wait_for_timeout(500)
    here.settle()
    assert "occlusion" in here.text("look").lower()
    page.get_by_label("Class to explain").click()
    page.get_by_role("option", name="square", exact=True).click()
    page.wait_for_timeout(500)
    here.settle()
    page.get_by_text("to “square”").first.wait_for()
    here.shot("scene-input-seam-1440")


def test_text_and_an_image_without_audio_get_an_answer(visit):
    here = visit()
    page = here.open()
    upload(here, "i love this camera, it is excellent", picture_file())
    page.get_by_text("record upload").first.wait_for()
    here.settle()
    assert here.text("prediction") in ("negative", "neutral", "positive")
    assert "absent" in here.text("ledger-audio")
    assert page.locator("[data-lane=audio] .empty").count() == 1
    here.shot("upload-no-audio-1440")
    page.get_by_role("button", name="back to the record set").click()
    page.get_by_text(re.compile("record fb-test-")).first.wait_for()


def test_an_audio_file_alone_gets_an_answer(visit):
    here = visit()
    page = here.open()
    clip = next(iter(sorted((TEST / "audio").glob("*.ogg"))))
    upload(here, audio={"name": "note.ogg", "mimeType": "audio/ogg", "buffer": clip.read_bytes()})
    page.get_by_text("record upload").first.wait_for()
    here.settle()
    assert "absent" in here.text("ledger-text")
    assert page.locator('[data-testid="play"]').count() == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [("broken.png", b"\x89PNG\r\n\x1a\n and then nothing"), ("words.png", b"these are words"), ("empty.png", b"")],
)
def test_a_broken_image_gets_a_sentence_and_the_page_stays(visit, name, data):
    here = visit()
    page = here.open()
    upload(here, "some text", {"name": name, "mimeType": "image/png", "buffer": data})
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert name in alert.inner_text()
    assert "Traceback" not in page.inner_text("body")
    assert page.locator('[data-testid="headline"]').count() == 1
    here.shot(f"upload-{name}-1440")


def test_a_file_name_full_of_markup_is_shown_as_it_is_and_fetches_nothing(visit):
    here = visit()
    page = here.open()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    name = "![x](https:evil.example) $x$ :smile: <img src=x> :red[y] www.evil.example.png"
    upload(here, "", {"name": name, "mimeType": "image/png", "buffer": b"these are words"})
    alert = page.get_by_role("alert").first
    alert.wait_for()
    page.wait_for_timeout(300)
    assert name in alert.inner_text().replace("\u2060", "")
    assert alert.locator("img, a, .katex, [data-testid=stIconMaterial] + span").count() == 0
    assert [url for url in asked if not url.startswith(("data:", "blob:", here.address))] == []


def test_the_upload_panel_closes_when_its_record_is_shown(visit):
    here = visit()
    page = here.open()
    upload(here, "fine camera")
    page.get_by_text("record upload").first.wait_for()
    here.settle()
    page.get_by_role("button", name="Inspect this record").wait_for(state="hidden")


def test_without_a_target_the_bars_speak_to_each_strategys_own_answer(visit):
    here = visit()
    page = here.open("/?model=scene_qa&strategy=cross_attention")
    note = page.locator(".strip-note")
    answers = set(page.locator(".strategy .class").all_inner_texts())
    expected = "to each strategy’s own answer" if len(answers) > 1 else f"to “{answers.pop()}”"
    assert expected in note.inner_text()
    assert "audio" not in note.inner_text()


def test_nothing_uploaded_asks_for_something(visit):
    here = visit()
    page = here.open()
    upload(here)
    page.get_by_text("give at least one of text, image and audio").wait_for()


def test_markup_in_an_upload_is_shown_as_text(visit):
    here = visit()
    page = here.open()
    upload(here, '<img src=x onerror="window.hacked=1"> <b>bold</b> \u202eright')
    page.get_by_text("record upload").first.wait_for()
    here.settle()
    assert page.evaluate("window.hacked") is None
    assert "<img" in here.text("words").replace("\n", "").replace(" ", "") or "img" in here.text("words")


def test_what_one_session_uploads_no_other_session_sees(visit):
    first, second = visit(), visit()
    first.open()
    second.open()
    upload(first, "marker zebra seventeen in the first session")
    first.page.get_by_text("record upload").first.wait_for()
    upload(second, "marker walrus ninety in the second session")
    second.page.get_by_text("record upload").first.wait_for()
    first.settle()
    second.settle()
    third = visit()
    third.open()
    for here, seen, unseen in ((first, "zebra", "walrus"), (second, "walrus", "zebra")):
        assert seen in here.page.inner_text("body") + here.text("words")
        assert unseen not in here.page.inner_text("body") + here.text("words")
    assert "zebra" not in third.text("words")
    assert "walrus" not in third.text("words")


def test_a_nonsense_link_opens_the_default(visit):
    here = visit()
    here.open("/?model=nope&record=%00..%2F&strategy=osmosis&token=text:99999&view=magic")
    assert here.text("headline").startswith("Predicted")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 420])
def test_it_fits_the_window_in_both_themes(visit, scheme, width):
    here = visit(width=width, scheme=scheme)
    page = here.open("/?strategy=early")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    brightness = sum(int(v) for v in re.findall(r"\d+", background)[:3])
    assert (brightness < 200) == (scheme == "dark")
    assert page.locator(".st-key-bar").bounding_box()["height"] < (230 if width == 420 else 90)
    here.shot(f"inspect-{scheme}-{width}")
