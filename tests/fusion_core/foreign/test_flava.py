"""FLAVA by our way gives the numbers of its own forward; what it does not need may be missing, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers.models.flava.image_processing_pil_flava import FlavaImageProcessorPil

from fusion_core.asked import Asked
from fusion_core.attention import capture
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.reading.pictures import Picture
from fusion_core.trace import trace_record
from fusion_core.verify.parity import parity
from tests.fusion_core.foreign.conftest import LABELS, MATCH
from tests.fusion_core.foreign.test_parity import SHORT, pixels_of
from tests.fusion_core.foreign.tiny.flava import flava


def answer(model, record):
    with torch.no_grad():
        return model.fuse(model.encode(model.prepare([record])), "flava")[0]


def itm(folder, record, text):
    """The family's own matching logits: index 1 is a match, as its `itm_labels` have it."""
    own = transformers.FlavaForPreTraining.from_pretrained(folder).eval()
    ids = torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids])
    pixels = pixels_of(FlavaImageProcessorPil, folder, record)
    with torch.no_grad():
        return own(
            input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels, return_loss=False
        ).itm_logits[0]


def test_a_match_is_the_familys_own_two_logits_no_match_first(opened, folders, records):
    record = records("flava")[0]
    found = answer(opened("flava", MATCH), type(record)("x", text=SHORT, image=record.image))
    assert torch.allclose(found, itm(folders("flava", "labels"), record, SHORT), atol=2e-4)
    assert found.abs().max() > 0.05
    own = transformers.FlavaForPreTraining.from_pretrained(folders("flava", "labels")).eval()
    ids, pixels = torch.tensor([[2, 5, 3]]), pixels_of(FlavaImageProcessorPil, folders("flava", "labels"), record)
    with torch.no_grad():
        told = [
            own(input_ids=ids, pixel_values=pixels, itm_labels=torch.tensor([n]), return_loss=True,
                mim_labels=torch.full((1, 16), -100), bool_masked_pos=torch.zeros(1, 16, dtype=torch.long),
                mlm_labels=torch.full((1, 3), -100))
            for n in (0, 1)
        ]  # fmt: skip
    log_odds = told[0].loss_info.itm - told[1].loss_info.itm
    logits = told[0].itm_logits[0]
    assert torch.allclose(logits[1] - logits[0], log_odds, atol=1e-5)


def test_a_size_that_is_one_number_squeezes_a_picture_as_the_family_does(tmp_path, records):
    folder = flava(tmp_path / "published")
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"size": 32, "crop_size": 32}))
    record = records("flava")[0]
    model = load_foreign(folder, MATCH)
    wide = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    found, _ = model.stack.encoders["image"].prepare([Picture(wide, ())])
    wanted = FlavaImageProcessorPil(**json.loads(file.read_text()))(images=wide, return_tensors="pt")["pixel_values"]
    assert torch.allclose(found.values, wanted, atol=1e-5)
    assert torch.allclose(
        answer(model, type(record)("x", text=SHORT, image=record.image)), itm(folder, record, SHORT), atol=2e-4
    )


@pytest.mark.parametrize("text", [SHORT, None])
def test_labels_are_the_log_odds_of_the_text_with_each_behind_it(opened, folders, records, text):
    model, record = opened("flava"), records("flava")[0]
    found = answer(model, type(record)("x", text=text, image=record.image))
    for label, logit in zip(model.classes, found, strict=True):
        pair = itm(folders("flava", "labels"), record, f"{text} {label}" if text else label)
        assert torch.allclose(logit, pair[1] - pair[0], atol=2e-4)


@pytest.mark.parametrize("asked", [LABELS, MATCH], ids=["labels", "match"])
def test_without_a_picture_there_is_nothing_to_match(opened, records, asked):
    model, record = opened("flava", asked), records("flava")[0]
    assert torch.equal(answer(model, type(record)("x", text=SHORT)), torch.zeros(len(model.classes)))
    assert not torch.equal(answer(model, record), torch.zeros(len(model.classes)))
    alone = answer(model, type(record)("x", image=record.image))
    assert bool((alone == 0).all()) == (asked == MATCH)
    (trace,) = trace_record(model, type(record)("t", text=SHORT), model.strategies)
    assert {a.site for a in trace.attention} == {"text tower", "stream"}
    assert not any("image" in name for a in trace.attention for name in (a.query, a.key))


def test_every_label_is_heard_as_heads_of_its_own(opened, folders, records):
    model, record = opened("flava"), records("flava")[0]
    _, tokens = model.encode_record(record)
    with torch.no_grad(), capture() as tape:
        model.fuse(tokens, "flava")
    heads = {c.site: c.weights.shape[:2] for c in tape.captured}
    assert heads == {"text tower": (1, 6), "image tower": (1, 2), "stream": (1, 6)}
    (stream,) = (c for c in tape.captured if c.site == "stream")
    alone = load_foreign(folders("flava", "labels"), Asked(labels=("a photo of the cat", "blue")))
    with torch.no_grad(), capture() as other:
        alone.fuse(tokens, "flava")
    (first,) = (c for c in other.captured if c.site == "stream")
    assert torch.allclose(first.weights[0, :2], stream.weights[0, 4:], atol=1e-6)  # the same label, the same heads
    assert parity(model, tokens, "flava") is None


def test_a_directory_may_lack_the_codebook_and_the_heads_nobody_reads(tmp_path, records):
    whole = flava(tmp_path / "whole", codebook=True)
    weights = load_file(whole / "model.safetensors")
    assert any(name.startswith("image_codebook.") for name in weights)
    wanted = answer(load_foreign(whole, LABELS), records("flava")[0])
    needless = ("image_codebook.", "mim_head.", "mmm_text_head.", "flava.image_projection.", "image_model.pooler.")
    kept = {name: w for name, w in weights.items() if not any(part in name for part in needless)}
    save_file(kept, whole / "model.safetensors", {"format": "pt"})
    model = load_foreign(whole, LABELS)
    assert torch.equal(answer(model, records("flava")[0]), wanted)
    assert model.fitted["flava"].parameters < sum(w.numel() for w in kept.values())


@pytest.mark.parametrize("name", ["itm_head.pooler.dense.weight", "flava.multimodal_model.cls_token"])
def test_a_weight_that_an_answer_reads_is_never_random(tmp_path, name):
    folder = flava(tmp_path / "cut")
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"lack 1 weights of a FlavaForPreTraining, such as {name}"):
        load_foreign(folder, LABELS)
