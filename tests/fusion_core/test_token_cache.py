"""Tokens on disk: the same ones come back, damage and other encoders count as missing, and the folder stays bounded."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import pytest
import torch

from fusion_core import token_cache
from fusion_core.encoders import EncoderSource
from fusion_core.errors import CallError
from fusion_core.token_cache import TokenCache, content_key, default_folder
from fusion_core.types import Media, Record
from tests.conftest import SPECS, random_tokens

KEY = "ab" + "0" * 62


class Encoder:
    """What the cache asks of an encoder."""

    def __init__(self, modality="text", sha256="1" * 64, **preprocessing):
        self.modality, self.spec, self.preprocessing = modality, SPECS[modality], preprocessing
        self.source = EncoderSource("directory", "tiny", sha256, "2" * 64)


def cache_in(folder, **changes):
    return TokenCache(folder, {"text": Encoder(**changes)})


def tokens():
    return random_tokens(1)["text"].each(torch.Tensor.half)


def test_what_was_kept_comes_back_bit_by_bit(tmp_path):
    given = tokens()
    cache_in(tmp_path).put("text", KEY, given)
    found = cache_in(tmp_path).get("text", KEY)
    assert torch.equal(found.values, given.values)
    assert torch.equal(found.raw, given.raw)
    assert torch.equal(found.mask, given.mask)
    assert cache_in(tmp_path).get("text", "cd" + KEY[2:]) is None


@pytest.mark.parametrize(
    "changes",
    [{"sha256": "3" * 64}, {"pieces": 17}],
    ids=["other weights", "other preprocessing"],
)
def test_another_encoder_finds_nothing(tmp_path, changes):
    cache_in(tmp_path).put("text", KEY, tokens())
    assert cache_in(tmp_path, **changes).get("text", KEY) is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "grown", "wordless"])
def test_a_damaged_entry_counts_as_missing(tmp_path, damage):
    cache = cache_in(tmp_path)
    cache.put("text", KEY, tokens())
    (path,) = tmp_path.glob("*/*/*")
    data = path.read_bytes()
    changed = {
        "flipped": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        "cut": data[:-1],
        "empty": b"",
        "grown": data + b"\0",
        "wordless": b"\x80\x04 a pickle of the same length",
    }
    path.write_bytes(changed[damage])
    assert cache.get("text", KEY) is None
    cache.put("text", KEY, tokens())
    assert cache.get("text", KEY) is not None


def test_tokens_of_another_width_are_not_taken(tmp_path):
    cache = cache_in(tmp_path)
    cache.put("text", KEY, replace(tokens(), values=torch.zeros(1, 5, 3).half()))
    assert cache.get("text", KEY) is None


def test_the_oldest_use_goes_first_once_the_bound_is_passed(tmp_path):
    cache = cache_in(tmp_path)
    names = [f"{k:02x}{KEY[2:]}" for k in range(10)]
    for name in names:
        cache.put("text", name, tokens())
    size = next(tmp_path.glob("*/*/*")).stat().st_size
    for age, name in enumerate(reversed(names)):
        (path,) = tmp_path.glob(f"*/*/{name}.tokens")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    assert cache.get("text", names[0]) is not None  # the oldest is used once more
    cache.most = 5 * size
    cache.trim()
    left = [name for name in names if cache.get("text", name) is not None]
    assert left == [names[0], *names[-3:]]


def test_a_disk_that_cannot_be_written_costs_the_cache_and_nothing_else(tmp_path, monkeypatch):
    cache = cache_in(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_cache.os, "replace", full)
    cache.put("text", KEY, tokens())
    assert cache.get("text", KEY) is None
    assert not list(tmp_path.glob("*/*/*"))


def test_the_folder_is_its_owners_alone_and_must_be_one(tmp_path):
    cache_in(tmp_path / "deep" / "tokens")
    assert stat.S_IMODE((tmp_path / "deep" / "tokens").stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(CallError, match="is a file"):
        cache_in(tmp_path / "file")


def test_the_default_folder_follows_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "fusion-lens" / "tokens"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home" / ".cache" / "fusion-lens" / "tokens"


def test_a_content_is_known_by_what_it_is_not_by_its_name():
    first, second = (Record("r", "same", Media("f" * 64, name)) for name in ("a.png", "b.png"))
    assert content_key(first, "image") == content_key(second, "image") == "f" * 64
    assert content_key(first, "text") == content_key(second, "text") != content_key(Record("r", "other"), "text")
