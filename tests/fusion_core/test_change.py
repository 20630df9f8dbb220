"""The smallest change that flips an answer: found where it is known, and checked from scratch on shipped records."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion_core.bundle import load
from fusion_core.change import kind, kinds_for, smallest_changes
from fusion_core.change.search import _first_flip
from fusion_core.cli import main
from fusion_core.encoders.stack import decode
from fusion_core.errors import CallError
from fusion_core.reading.clips import Clip
from fusion_core.reading.pictures import Picture
from fusion_core.reading.records import read
from tests.conftest import SAMPLES

BUNDLE, TEST = SAMPLES / "bundles" / "feedback", SAMPLES / "feedback" / "test"
TEXT = "the battery died after two weeks and nobody answers"


@pytest.fixture(scope="module")
def model():
    return load(BUNDLE)


@pytest.fixture(scope="module")
def record():
    return read(TEST).records[0]


def decoded(modality):
    rng = np.random.default_rng(0)
    if modality == "text":
        return TEXT
    if modality == "image":
        return Picture(rng.integers(40, 216, (224, 300, 3), dtype=np.uint8), ())
    return Clip((0.2 * np.sin(np.arange(16_000) * 0.3)).astype(np.float32), 16_000, ())


def content(value):
    return value if isinstance(value, str) else value.pixels if isinstance(value, Picture) else value.samples


@pytest.mark.parametrize("name", list(kind))
def test_every_kind_changes_more_and_more_of_the_same(name):
    about = kind[name]
    value = decoded(about.modality)
    changed = [about.apply(value, amount, np.random.default_rng(3)) for amount in about.amounts(value)]
    again = [about.apply(value, amount, np.random.default_rng(3)) for amount in about.amounts(value)]
    for one, other in zip(changed, again, strict=True):
        assert np.array_equal(content(one), content(other))
        assert not np.array_equal(content(one), content(value))
        assert type(one) is type(value)
    assert len({repr(content(one)) for one in changed}) == len(changed)


def test_each_kind_does_what_its_unit_says():
    rng = np.random.default_rng
    picture, clip = decoded("image"), decoded("audio")
    assert kind["image_crop"].apply(picture, 0.5, rng(0)).pixels.shape == (112, 150, 3)
    assert len(kind["audio_cut"].apply(clip, 0.25, rng(0)).samples) == 12_000
    assert kind["text_cut"].apply(TEXT, 2.0, rng(0)) == "the battery died after two weeks and"
    assert sorted(kind["text_typos"].apply(TEXT, 0.5, rng(0))) == sorted(TEXT)
    noise = kind["audio_noise"].apply(clip, 10.0, rng(0)).samples - clip.samples
    assert 10 * np.log10(np.mean(clip.samples**2) / np.mean(noise**2)) == pytest.approx(10.0, abs=0.2)
    grey = replace(picture, pixels=np.full((60, 90, 3), 128, np.uint8))
    noisy = kind["image_noise"].apply(grey, 0.1, rng(0)).pixels
    assert noisy.std() == pytest.approx(25.5, rel=0.03)
    step = np.zeros((224, 224, 3), np.uint8)
    step[:, 112:] = 255
    edge = kind["image_blur"].apply(Picture(step, ()), 6.0, rng(0)).pixels[0, :, 0].astype(float)
    slope = np.diff(edge)
    assert np.sqrt(np.average((np.arange(223) - 111) ** 2, weights=slope)) == pytest.approx(6.0, rel=0.05)


def test_the_first_flip_counts_though_a_later_amount_flips_back():
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
    assert _first_flip(logits, before=0) == 1
    assert _first_flip(logits[:1], before=0) is None
    assert _first_flip(logits, before=1) == 0


def test_what_is_reported_flips_when_it_is_made_from_scratch_and_one_step_less_does_not(model, record):
    found = smallest_changes(model, record, ("late", "gated", "cross_attention"))
    assert {c.kind for c in found} == set(kinds_for(("text", "image", "audio")))
    flipped = [c for c in found if c.amount is not None]
    assert flipped
    _, tokens = model.encode_record(record)
    for change in flipped:
        place = change.tried.index(change.amount)
        milder = [(change.tried[place - 1], change.before)] if place else []
        for amount, answer in ((change.amount, change.after), *milder):
            about = kind[change.kind]
            value = about.apply(decode(record, change.modality)[0], amount, np.random.default_rng(0))
            encoder = model.stack.encoders[change.modality]
            with torch.no_grad():
                own = encoder.encode(encoder.prepare([value])[0])
                logits = model.fuse({**tokens, change.modality: own}, change.strategy)
            assert model.classes[int(logits.argmax())] == answer
    again = smallest_changes(model, record, ("late", "gated", "cross_attention"))
    assert again == found


def test_an_absent_modality_has_no_kinds_and_asking_for_one_says_so(model, record):
    dumb = replace(record, audio=None)
    assert "audio" not in {c.modality for c in smallest_changes(model, dumb, ("late",))}
    with pytest.raises(CallError, match="audio_cut changes audio, which this record has not; it has text, image"):
        smallest_changes(model, dumb, ("late",), "audio_cut")
    with pytest.raises(CallError, match="unknown kind of change 'image_melt'; known: text_typos"):
        smallest_changes(model, record, ("late",), "image_melt")


def test_one_word_has_nothing_to_leave_out(model, record):
    (found,) = smallest_changes(model, replace(record, text="broken"), ("late",), "text_cut")
    assert (found.amount, found.after, found.tried) == (None, None, ())


def test_the_command_says_it_in_lines(capsys, record):
    flags = ("--model", BUNDLE, "--records", TEST, "--id", record.id, "--kind", "image_blur", "--strategy", "all")
    assert main(["change", *map(str, flags)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 10
    assert all(line["kind"] == "change" and line["unit"] == "px" for line in lines)
    assert all((line["amount"] is None) == (line["after"] is None) for line in lines)
