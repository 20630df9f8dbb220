"""What a user does, as small steps that several journeys share."""

from __future__ import annotations

import io
import json
import zipfile

from PIL import Image
from playwright.sync_api import TimeoutError as NothingCame

from tests.conftest import SAMPLES

TEST = SAMPLES / "feedback" / "test"
DIALOG = "[role=dialog]"
READ = f"() => !document.querySelector('{DIALOG}:not(:has([data-testid=stAlert]))')"
AGAIN = 20_000  # milliseconds after which somebody whose click did nothing clicks again


def number(text: str) -> float:
    """Read a printed number with its true minus sign."""
    return float(text.replace("−", "-").replace("+", ""))


def swap(visit, name: str) -> None:
    """Choose a strategy and wait until the board shows it."""
    card = f'[data-strategy="{name}"]'
    press(visit.page.locator(card), visit.page.locator(f'{card}[aria-checked="true"]'))


def choose(visit, control: str, value: str) -> None:
    """Choose from one of the board's lists."""
    visit.page.locator(f'[data-testid="{control}"]').select_option(value)


def press(button, then) -> None:
    """Press a button and wait for what it brings; press again where nothing comes.

    The page may be drawn anew between press and release, as the board fills in, and a click may be lost then.
    """
    button.click()
    try:
        then.wait_for(timeout=AGAIN)
    except NothingCame:
        button.click()
        then.wait_for()


def open_upload(visit):
    """Open the upload panel and return it."""
    button = visit.page.get_by_role("button", name="Upload").first
    dialog = visit.page.locator(DIALOG)
    inside = dialog.get_by_role("button", name="Inspect this record")
    press(button, inside)
    return dialog


def download(visit, name: str) -> str:
    """Press a download button and return the text of what came."""
    button = visit.page.get_by_role("button", name=name)
    try:
        with visit.page.expect_download(timeout=AGAIN) as taken:
            button.click()
    except NothingCame:
        with visit.page.expect_download() as taken:
            button.click()
    return taken.value.path().read_text("utf-8")


def drop(visit, key: str, file: dict) -> None:
    """Give a file to one of the panel's uploaders and wait until it has arrived."""
    box = visit.page.locator(f".st-key-{key.replace(' ', '-')}")
    box.locator('[data-testid="stFileUploaderDropzoneInput"]').set_input_files(file)
    box.locator("[data-testid=stFileChipName]").first.wait_for()


def upload(visit, text: str = "", image: dict | None = None, audio: dict | None = None) -> None:
    """Upload one record."""
    dialog = open_upload(visit)
    dialog.get_by_label("Text", exact=True).fill(text)
    if image:
        drop(visit, "upload image", image)
    if audio:
        drop(visit, "upload audio", audio)
    inspect_record(visit, dialog)


def inspect_record(visit, dialog) -> None:
    """Press the panel's button until the record is read: the panel has gone, or says what is wrong."""
    button = dialog.get_by_role("button", name="Inspect this record")
    button.click()
    try:
        visit.page.wait_for_function(READ, timeout=AGAIN)
    except NothingCame:  # as above
        button.click()
        visit.page.wait_for_function(READ)


def upload_set(visit, name: str, data: bytes) -> None:
    """Upload a record set."""
    dialog = open_upload(visit)
    dialog.get_by_role("tab", name="A record set").click()
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    opens = dialog.get_by_role("button", name="Open this record set")
    drop(visit, "upload set", file)
    try:
        opens.click(timeout=AGAIN)
    except NothingCame:  # on busy cores a run that the board asked for may swallow the one that would enable it
        drop(visit, "upload set", file)
        opens.click()


def shown_record(visit, id: str) -> None:
    """Wait until the board shows a record."""
    visit.page.get_by_text(f"record {id}").first.wait_for()
    visit.settle()


def rows(count: int) -> list[dict]:
    """Return the first rows of the sample test set."""
    lines = (TEST / "metadata.jsonl").read_text("utf-8").splitlines()[:count]
    return [json.loads(line) for line in lines]


def picture_file(name: str = "reaction.png") -> dict:
    """Return a sample picture as a file to drop."""
    buffer = io.BytesIO()
    Image.open(TEST / rows(1)[0]["image_file_name"]).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def damaged_set() -> bytes:
    """Return a zip of six rows: two whole, one without a readable image, three refused."""
    given = rows(6)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, row in enumerate(given):
            for column in ("image_file_name", "audio_file_name"):
                if row.get(column):
                    data = (TEST / row[column]).read_bytes()
                    cut = place == 1 and column == "image_file_name"
                    archive.writestr(row[column], data[:40] if cut else data)
        given[2]["image_file_name"] = "../../secret.png"
        given[3]["audio_file_name"] = "https://example.invalid/a.ogg"
        lines = [json.dumps(row) for row in given[:5]] + ['{"id": "=cut']
        archive.writestr("metadata.jsonl", "\n".join(lines))
    return buffer.getvalue()
