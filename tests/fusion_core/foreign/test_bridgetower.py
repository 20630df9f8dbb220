"""BridgeTower by our way gives the numbers of its own forward, on pictures as its own processor brings them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers.models.bridgetower.image_processing_pil_bridgetower import BridgeTowerImageProcessorPil

from fusion_core.attention import capture
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.reading.pictures import Picture
from fusion_core.trace import trace_record
from tests.fusion_core.foreign.conftest import LABELS, MATCH
from tests.fusion_core.foreign.test_parity import SHORT
from tests.fusion_core.foreign.tiny.bridgetower import bridgetower

SIZES = [(32, 32), (60, 90), (200, 120), (31, 33), (40, 160), (270, 60)]


def pixels(size):
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


def processed(folder, picture):
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    return BridgeTowerImageProcessorPil(**settings)(images=picture, return_tensors="pt")["pixel_values"]


def itm(folder, picture, text):
    """The family's own matching logits: index 1 is a match, as its docstring has it."""
    own = transformers.BridgeTowerForImageAndTextRetrieval.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids])
    with torch.no_grad():
        return own(
            input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=processed(folder, picture)
        ).logits[0]  # fmt: skip


def answer(model, picture, text):
    encoders = model.stack.encoders
    with torch.no_grad():
        inputs, _ = encoders["image"].prepare([None if picture is None else Picture(picture, ())])
        words, _ = encoders["text"].prepare([text])
        tokens = {"image": encoders["image"].encode(inputs), "text": encoders["text"].encode(words)}
        return model.fuse(tokens, model.default_strategy)[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pictures_are_brought_to_pixels_as_the_familys_processor_does(opened, folders, size):
    inputs, _ = opened("bridgetower").stack.encoders["image"].prepare([Picture(pixels(size), ())])
    assert torch.allclose(inputs.values, processed(folders("bridgetower"), pixels(size)), atol=1e-5)


@pytest.mark.parametrize("size", [(60, 90), (40, 160)], ids=str)
def test_a_match_is_the_familys_own_two_logits_no_match_first(opened, folders, size):
    found = answer(opened("bridgetower", MATCH), pixels(size), SHORT)
    wanted = itm(folders("bridgetower"), pixels(size), SHORT)
    assert torch.allclose(found, wanted, atol=2e-4)
    assert found.abs().max() > 0.05


@pytest.mark.parametrize("text", [SHORT, None])
def test_labels_are_the_log_odds_of_the_text_with_each_behind_it(opened, folders, text):
    model = opened("bridgetower")
    found = answer(model, pixels((60, 90)), text)
    for label, logit in zip(model.classes, found, strict=True):
        pair = itm(folders("bridgetower"), pixels((60, 90)), f"{text} {label}" if text else label)
        assert torch.allclose(logit, pair[1] - pair[0], atol=2e-4)


def test_layers_that_are_not_shared_and_other_bridges_answer_as_the_family_does(tmp_path):
    folder = bridgetower(tmp_path / "own", shared=False)
    found = answer(load_foreign(folder, MATCH), pixels((60, 90)), SHORT)
    assert torch.allclose(found, itm(folder, pixels((60, 90)), SHORT), atol=2e-4)


@pytest.mark.parametrize("asked", [LABELS, MATCH], ids=["labels", "match"])
def test_without_a_picture_there_is_nothing_to_match(opened, records, asked):
    model, record = opened("bridgetower", asked), records("bridgetower")[0]
    assert torch.equal(answer(model, None, SHORT), torch.zeros(len(model.classes)))
    assert bool((answer(model, pixels((32, 32)), None) == 0).all()) == (asked == MATCH)
    (trace,) = trace_record(model, type(record)("t", text=SHORT), model.strategies)
    assert {a.site for a in trace.attention} == {"text tower", "cross"}
    assert not any("image" in name for a in trace.attention for name in (a.query, a.key))


def test_a_cross_modal_layer_is_heard_as_both_directions_and_both_towers_at_once(opened, records):
    model = opened("bridgetower", MATCH)
    _, tokens = model.encode_record(records("bridgetower")[0])
    with torch.no_grad(), capture() as tape:
        model.fuse(tokens, "bridgetower")
    assert {c.site for c in tape.captured} == {"text tower", "image tower", "cross"}
    for layer in (0, 1):
        pairs = [(c.query[-1][0], c.key[-1][0]) for c in tape.captured if (c.site, c.layer) == ("cross", layer)]
        assert sorted(pairs) == [("image", "image"), ("image", "text_end"), ("text_end", "image"),
                                 ("text_end", "text_end")]  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2), (7, 5)], ids=str)
def test_odd_pictures_are_shown_with_boxes_that_stay_inside_them(opened, size):
    encoder = opened("bridgetower").stack.encoders["image"]
    inputs, (notes,) = encoder.prepare([Picture(pixels(size), ())])
    assert torch.isfinite(encoder.encode(inputs).values).all()
    (axis,) = inputs.axes
    spans = np.array(axis.spans)
    assert spans.min() >= 0
    assert (spans[:, [0, 2]] <= size[1] + 1e-6).all()
    assert (spans[:, [1, 3]] <= size[0] + 1e-6).all()
    assert (spans[:, 2:] >= spans[:, :2]).all()
    if max(size) >= 3000:
        assert "of 32 x 32 px; the rest is black" in " ".join(notes)


def test_a_weight_that_an_answer_reads_is_never_random(tmp_path):
    folder = bridgetower(tmp_path / "cut")
    weights = load_file(folder / "model.safetensors")
    for name in [n for n in weights if n.startswith("bridgetower.text_model.pooler.")]:
        del weights[name]  # no answer reads it
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    wanted = answer(load_foreign(folder, MATCH), pixels((32, 32)), SHORT)
    assert torch.allclose(wanted, itm(folder, pixels((32, 32)), SHORT), atol=2e-4)
    del weights["bridgetower.cross_modal_text_pooler.dense.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"such as bridgetower\.cross_modal_text_pooler\.dense\.weight"):
        load_foreign(folder, MATCH)


def test_a_preprocessor_that_does_not_fit_is_refused(tmp_path):
    folder = bridgetower(tmp_path / "sizes")
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    for wrong, said in (({"size_divisor": 64}, "size_divisor of 64"), ({"size": {"longest_edge": 32}}, "cannot be"),
                        ({"crop_size": 24}, "gives 24 px; the model reads 32 px")):  # fmt: skip
        path.write_text(json.dumps(settings | wrong))
        with pytest.raises(ModelError, match=said):
            load_foreign(folder, MATCH)
