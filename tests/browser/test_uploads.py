"""Upload and inspect: typed, dropped, photographed, recorded, whole sets, and rubbish."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.steps import (
    DIALOG,
    TEST,
    damaged_set,
    download,
    inspect_record,
    open_upload,
    picture_file,
    press,
    shown_record,
    upload,
    upload_set,
)


def test_text_and_an_image_without_audio_get_an_answer(visit):
    here = visit()
    page = here.open()
    upload(here, "i love this camera, it is excellent", picture_file())
    shown_record(here, "upload")
    assert here.text("prediction") in ("negative", "neutral", "positive")
    assert "absent" in here.text("ledger-audio")
    assert page.locator("[data-lane=audio] .empty").is_visible()
    assert page.locator("[data-lane=image] .empty").is_hidden()
    page.locator(".near-item").nth(4).wait_for()
    here.shot("upload-no-audio-1440")
    page.get_by_role("button", name="Back to the record set").click()
    page.get_by_text(re.compile("record fb-test-")).first.wait_for()


def test_an_audio_file_alone_gets_an_answer(visit):
    here = visit()
    page = here.open()
    clip = next(iter(sorted((TEST / "audio").glob("*.ogg"))))
    upload(here, audio={"name": "note.ogg", "mimeType": "audio/ogg", "buffer": clip.read_bytes()})
    shown_record(here, "upload")
    assert "absent" in here.text("ledger-text")
    assert page.locator('[data-testid="play"]').is_visible()


def test_a_photo_and_a_recorded_note_get_an_answer(visit):
    here = visit(permissions=["camera", "microphone"])
    page = here.open()
    dialog = open_upload(here)
    dialog.get_by_role("radio", name="Take a photo").click()
    page.wait_for_function("document.querySelector('[role=dialog] video')?.readyState >= 3")
    press(dialog.get_by_role("button", name="Take Photo"), dialog.get_by_role("button", name="Clear photo"))
    dialog.get_by_role("radio", name="Record a note").click()
    dialog.get_by_test_id("stAudioInput").get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1_500)
    dialog.get_by_test_id("stAudioInput").get_by_role("button", name="Stop recording").click()
    dialog.get_by_test_id("stAudioInput").get_by_role("button", name="Play").wait_for()
    here.shot("photo-and-note-1440")
    inspect_record(here, dialog)
    shown_record(here, "upload")
    assert "absent" in here.text("ledger-text")
    assert re.search(r"[+−]\d", here.text("ledger-image"))
    assert re.search(r"[+−]\d", here.text("ledger-audio"))


@pytest.mark.parametrize(
    ("name", "data"),
    [("broken.png", b"\x89PNG\r\n\x1a\n and then nothing"), ("words.png", b"these are words"), ("empty.png", b"")],
)
def test_the_text_opens_when_its_image_is_broken_and_a_sentence_says_so(visit, name, data):
    here = visit()
    page = here.open()
    upload(here, "some text", {"name": name, "mimeType": "image/png", "buffer": data})
    shown_record(here, "upload")
    alert = page.get_by_role("alert").first
    assert name in alert.inner_text()
    assert "shown without it" in alert.inner_text()
    assert "image could not be read" in here.text("flags")
    assert "absent" in here.text("ledger-image")
    assert "Traceback" not in page.inner_text("body")
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


def test_a_pinned_token_belongs_to_its_record_and_not_to_an_upload(visit):
    here = visit()
    page = here.open("/?strategy=early")
    page.click('[data-token="text:1"]')
    page.wait_for_url(re.compile("token="))
    upload(here, "fine camera")
    shown_record(here, "upload")
    assert page.locator(".word.pinned").count() == 0
    assert "token=" not in page.url
    page.click('[data-token="text:0"]')
    page.wait_for_url(re.compile("token="))
    page.get_by_role("button", name="Back to the record set").click()
    page.get_by_text(re.compile("record fb-test-")).first.wait_for()
    here.settle()
    assert page.locator(".word.pinned").count() == 0
    assert page.locator('[data-strategy="early"]').get_attribute("aria-checked") == "true"


def test_the_upload_panel_closes_when_its_record_is_shown(visit):
    here = visit()
    page = here.open()
    upload(here, "fine camera")
    shown_record(here, "upload")
    page.locator(DIALOG).wait_for(state="hidden")


def test_nothing_uploaded_asks_for_something(visit):
    here = visit()
    page = here.open()
    upload(here)
    page.get_by_text("give at least one of text, image and audio").wait_for()


def test_markup_in_an_upload_is_shown_as_text(visit):
    here = visit()
    page = here.open()
    upload(here, '<img src=x onerror="window.hacked=1"> <b>bold</b> \u202eright')
    shown_record(here, "upload")
    assert page.evaluate("window.hacked") is None
    assert "img" in here.text("words")


def test_a_set_with_damaged_members_opens_and_the_account_of_it_can_be_taken_away(visit):
    here = visit(accept_downloads=True)
    page = here.open()
    upload_set(here, "mine.zip", damaged_set())
    account = page.get_by_text("6 rows: 2 read whole, 1 read without a file that is damaged, 3 refused.")
    account.wait_for()
    here.complete()
    account.click()
    listed = [json.loads(line) for line in download(here, "JSON lines, exact").splitlines()]
    assert [row["code"] for row in listed] == [
        "image_damaged",
        "path_refused",
        "remote_media_refused",
        "metadata_damaged",
    ]
    here.shot("set-account-1440")
    page.get_by_role("button", name="Answer all 3 records").click()
    page.get_by_text(re.compile(r"of 3 wrong, those first")).first.wait_for()
    expect(page.locator(".near-item")).to_have_count(5)
    expect(page.locator(".near-caption")).to_contain_text("from test")
    here.shot("set-answered-1440")
    page.reload()
    here.settle()
    assert "Your upload mine.zip" in page.inner_text("body")


def test_a_set_that_is_none_is_one_sentence(visit):
    here = visit()
    page = here.open()
    upload_set(here, "bomb.zip", b"PK\x03\x04" + b"\x00" * 50)
    page.get_by_text("is damaged and cannot be unpacked").wait_for()
    assert "Traceback" not in page.inner_text("body")


def test_what_one_browser_uploads_no_other_sees_even_with_the_link(visit):
    first, second = visit(), visit()
    first.open()
    second.open()
    upload(first, "marker zebra seventeen in the first session")
    shown_record(first, "upload")
    upload(second, "marker walrus ninety in the second session")
    shown_record(second, "upload")
    third = visit()
    third.open("/?" + first.page.url.split("?", 1)[1])
    for here, seen, unseen in ((first, "zebra", "walrus"), (second, "walrus", "zebra")):
        assert seen in here.page.inner_text("body") + here.text("words")
        assert unseen not in here.page.inner_text("body") + here.text("words")
    for marker in ("zebra", "walrus"):
        assert marker not in third.page.inner_text("body") + third.text("words")
    assert "made in another browser" in third.page.get_by_role("alert").first.inner_text()
    first.page.reload()
    shown_record(first, "upload")
    assert "zebra" in first.text("words")
