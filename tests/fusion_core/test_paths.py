"""Which file names are followed, and how far."""

import os

import pytest

from fusion_core.errors import RecordError
from fusion_core.reading.paths import open_regular, plain_parts, resolve_inside

REFUSED = [
    "/etc/passwd", "//host/share", "C:\\a.png", "c:/a.png", "C:a.png", "\\\\host\\share\\a", "a\\b.png", "..",
    "../a.png", "a/../../b", "a/..", "a\0.png", "a\n.png", "a\x1b[0m.png", "a\u202egnp.exe", "\u2066a", "a\u2028b",
    "a\ud800b", "x" * 256, "é" * 128, "a/" * 501 + "b", "", ".", "./", "/", "~\\a",
]  # fmt: skip
ADDRESSES = [
    "http://a/b.png", "HTTPS://a", "ftp://a", "s3://b/k", "hf://x", "file:///etc/passwd", "file:a", "data:image/png,AA",
]  # fmt: skip
PLAIN = ["a.png", "images/a.png", "./a.png", "a b.png", "ünï/👩‍🚀.png", "...", "a..b", "~a", "10:30.png", "x" * 255]


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_are_not_plain_are_refused(name, tmp_path):
    with pytest.raises(RecordError) as caught:
        resolve_inside(tmp_path, name)
    assert caught.value.code == "path_refused"
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses_are_refused_as_such(name, tmp_path):
    with pytest.raises(RecordError) as caught:
        resolve_inside(tmp_path, name)
    assert caught.value.code == "remote_media_refused"


@pytest.mark.parametrize("name", PLAIN)
def test_plain_names_lead_under_the_root(name, tmp_path):
    assert resolve_inside(tmp_path, name) == tmp_path.resolve().joinpath(*plain_parts(name))


def test_a_folder_link_that_leaves_is_refused_and_one_that_stays_is_followed(tmp_path):
    root = tmp_path / "set"
    (root / "real").mkdir(parents=True)
    (root / "real" / "a").write_text("in")
    (root / "stays").symlink_to("real")
    (root / "leaves").symlink_to("..")
    with open_regular(resolve_inside(root, "stays/a"), "stays/a") as file:
        assert file.read() == b"in"
    with pytest.raises(RecordError, match="leads out"):
        resolve_inside(root, "leaves/secret")


def test_a_folder_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RecordError) as caught:
        open_regular(resolve_inside(tmp_path, "loop/a"), "loop/a")
    assert caught.value.code in ("path_refused", "file_missing")


def test_a_root_may_itself_be_reached_by_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert resolve_inside(tmp_path / "link", "a") == (tmp_path / "real" / "a").resolve()


def test_a_final_link_is_not_followed_even_inside(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(RecordError, match="link") as caught:
        open_regular(resolve_inside(tmp_path, "link"), "link")
    assert caught.value.code == "path_refused"


def test_only_regular_files_are_opened_and_a_pipe_does_not_block(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(RecordError) as caught:
            open_regular(tmp_path / name, name)
        assert caught.value.code == "path_refused"


def test_a_missing_file_is_named_without_its_place(tmp_path):
    with pytest.raises(RecordError) as caught:
        open_regular(tmp_path / "a.png", "a.png")
    assert caught.value.code == "file_missing"
    assert str(tmp_path) not in str(caught.value)
