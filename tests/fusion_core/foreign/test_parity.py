"""Our way through a family gives the numbers of the family's own forward on its own processor's inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

from fusion_core.asked import Asked
from fusion_core.attention import capture
from fusion_core.encoders.stack import decode
from fusion_core.errors import CallError
from fusion_core.foreign import load_foreign
from fusion_core.reading.clips import Clip
from fusion_core.reading.pictures import Picture
from fusion_core.trace import trace_record
from fusion_core.verify.parity import parity
from tests.fusion_core.foreign.conftest import LABELS, MATCH


def pixels_of(kind, folder, record):
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    return kind(**settings)(images=decode(record, "image")[0].pixels, return_tensors="pt")["pixel_values"]


def cosines(opened, name, records, asked=None):
    model = opened(name, asked) if asked else opened(name)
    with torch.no_grad():
        return model, model.fuse(model.encode(model.prepare(records)), name)


SHORT = "a photo of the cat"


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_dual_encoder_scores_an_image_against_labels_as_the_family_does(opened, folders, records, name):
    kinds = {
        "clip": (transformers.CLIPModel, CLIPImageProcessorPil),
        "siglip": (transformers.SiglipModel, SiglipImageProcessorPil),
    }
    model_class, processor = kinds[name]
    folder, record = folders(name), records(name)[0]
    own = model_class.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pixels = pixels_of(processor, folder, record)
    if name == "siglip":
        tokenizer.enable_padding(length=12, pad_id=0)
    else:
        tokenizer.enable_padding(pad_id=0)
    labels = opened(name).classes
    ids = torch.tensor([e.ids for e in tokenizer.encode_batch(list(labels))])
    with torch.no_grad():
        wanted = own(input_ids=ids, pixel_values=pixels).logits_per_image[0]
    _, found = cosines(opened, name, [type(record)("x", image=record.image)])
    if name == "siglip":
        wanted = wanted - own.logit_bias.detach()
    assert torch.allclose(found[0], wanted, atol=2e-4)


def test_a_siglip_match_is_its_own_logit(opened, folders, records):
    record = records("siglip")[0]
    own = transformers.SiglipModel.from_pretrained(folders("siglip")).eval()
    tokenizer = Tokenizer.from_file(str(folders("siglip") / "tokenizer.json"))
    tokenizer.enable_padding(length=12, pad_id=0)
    pixels = pixels_of(SiglipImageProcessorPil, folders("siglip"), record)
    with torch.no_grad():
        wanted = own(input_ids=torch.tensor([tokenizer.encode(SHORT).ids]), pixel_values=pixels).logits_per_image[0, 0]
    _, found = cosines(opened, "siglip", [type(record)("x", text=SHORT, image=record.image)], MATCH)
    assert found[0, 0] == 0
    assert torch.allclose(found[0, 1], wanted, atol=2e-4)


def test_zero_shot_is_the_mean_over_what_is_there(opened, records):
    record = records("clip")[0]
    parts = [type(record)("i", image=record.image), type(record)("t", text=SHORT)]
    _, whole = cosines(opened, "clip", [type(record)("w", text=SHORT, image=record.image)])
    _, alone = cosines(opened, "clip", parts)
    assert torch.allclose(whole[0], alone.mean(dim=0), atol=2e-5)


def test_clip_has_no_bias_so_its_threshold_lies_between_true_and_crossed_pairs(opened, records):
    model, _ = cosines(opened, "clip", records("clip")[:2], MATCH)
    head = model.head("clip")
    with torch.no_grad():
        cosine = head.cosine(model.encode(model.prepare(records("clip"))))
    own = np.eye(len(cosine), dtype=bool)
    middle = (cosine[own].mean() + cosine[~own].mean()) / 2
    assert torch.allclose(head.bias, -head.scale * middle, atol=2e-2)


@pytest.mark.parametrize(("seconds", "off"), [(2.0, 0.35), (3.0, 0.35), (10.0, 0.02)])
def test_clap_scores_a_clip_as_the_family_does_up_to_the_seams(opened, folders, seconds, off):
    """The log-mel is repeated rather than the samples: frames at the seams differ, and one frame in a thousand ends."""
    folder = folders("clap")
    own = transformers.ClapModel.from_pretrained(folder).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(int(seconds * 16_000)) * np.linspace(0.05, 0.5, int(seconds * 16_000))).astype("f4")
    features = extractor(samples, sampling_rate=16_000, return_tensors="pt")["input_features"].float()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = opened("clap")
    with torch.no_grad():
        ids = [torch.tensor([tokenizer.encode(label).ids]) for label in model.classes]
        wanted = torch.cat([own(input_ids=i, input_features=features).logits_per_audio[0] for i in ids])
        inputs, _ = model.stack.encoders["audio"].prepare([Clip(samples, 16_000, ())])
        tokens = model.stack.encoders["audio"].encode(inputs)
        blank, _ = model.stack.encoders["text"].prepare([None])
        found = model.fuse({"audio": tokens, "text": model.stack.encoders["text"].encode(blank)}, "clap")[0]
    spread = float(wanted.max() - wanted.min())
    assert float((found - wanted).abs().max()) <= off * spread
    assert int(found.argmax()) == int(wanted.argmax())


@pytest.mark.parametrize("size", [(32, 32), (60, 90), (200, 120)], ids=str)
@pytest.mark.parametrize("task", ["labels", "match"])
def test_vilt_answers_as_the_family_does_whatever_the_shape_of_the_picture(opened, folders, records, size, task):
    asked = MATCH if task == "match" else LABELS
    model, folder = opened("vilt", asked), folders("vilt", task)
    kind = transformers.ViltForImageAndTextRetrieval if task == "match" else transformers.ViltForQuestionAnswering
    own = kind.from_pretrained(folder).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    seen = ViltImageProcessorPil(**settings)(images=pixels, return_tensors="pt")
    ids = torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(SHORT).ids])
    encoders = model.stack.encoders
    with torch.no_grad():
        wanted = own(input_ids=ids, attention_mask=torch.ones_like(ids), **seen).logits[0]
        inputs, _ = encoders["image"].prepare([Picture(pixels, ())])
        words, _ = encoders["text"].prepare([SHORT])
        tokens = {"image": encoders["image"].encode(inputs), "text": encoders["text"].encode(words)}
        found = model.fuse(tokens, "vilt")[0]
    grid = inputs.axes[0].grid
    assert tuple(side * 8 for side in grid) == tuple(seen["pixel_values"].shape[2:])
    if task == "labels":
        wanted = wanted[[0, 2, 3]]
    else:
        assert found[0] == 0
        found = found[1:]
    assert torch.allclose(found, wanted, atol=2e-5)


def test_a_vilt_has_the_answers_its_classifier_has(folders, records):
    with pytest.raises(CallError, match="no answer 'green'"):
        load_foreign(folders("vilt"), Asked(labels=("red", "green")))
    with pytest.raises(CallError, match="it answers --labels"):
        load_foreign(folders("vilt"), MATCH)


@pytest.mark.parametrize("task", ["labels", "match"])
def test_blip_answers_as_the_family_does(opened, folders, records, task):
    model, folder = opened("blip", MATCH if task == "match" else LABELS), folders("blip", task)
    kind = transformers.BlipForImageTextRetrieval if task == "match" else transformers.BlipForQuestionAnswering
    own, record = kind.from_pretrained(folder).eval(), records("blip")[0]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids, pixels = torch.tensor([tokenizer.encode(SHORT).ids]), pixels_of(BlipImageProcessorPil, folder, record)
    with torch.no_grad():
        found = model.fuse(model.encode(model.prepare([type(record)("x", text=SHORT, image=record.image)])), "blip")[0]
        if task == "match":
            wanted = own(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids)).itm_score[0]
        else:
            seen = own.vision_model(pixel_values=pixels).last_hidden_state
            asked = own.text_encoder(input_ids=ids, encoder_hidden_states=seen).last_hidden_state
            wanted = torch.stack([_likelihood(own, tokenizer, label, asked) for label in model.classes])
    assert torch.allclose(found, wanted, atol=2e-4)


def _likelihood(own, tokenizer, label, asked):
    answer = torch.tensor([[5, *tokenizer.encode(label, add_special_tokens=False).ids, 3]])
    logits = own.text_decoder(input_ids=answer[:, :-1], encoder_hidden_states=asked, is_decoder=True).logits
    return logits.log_softmax(-1).gather(2, answer[:, 1:, None]).mean()


@pytest.mark.parametrize("name", ["clip", "siglip", "clap"])
def test_the_way_of_gradients_and_the_way_of_the_answer_agree(opened, records, name):
    model = opened(name)
    _, tokens = model.encode_record(records(name)[0])
    found = parity(model, tokens, name)
    assert found.passed
    assert found.value < 1e-4
    assert "the same answer" in found.sentence


@pytest.mark.parametrize("name", ["vilt", "blip"])
def test_families_with_their_own_softmax_have_one_way_only(opened, records, name):
    model = opened(name)
    _, tokens = model.encode_record(records(name)[0])
    assert parity(model, tokens, name) is None
    with torch.no_grad():
        plain = model.fuse(tokens, name)
        with capture(edit=lambda probe, weights, allowed: weights) as tape:
            assert torch.equal(model.fuse(tokens, name), plain)
    assert {c.site for c in tape.captured} == ({"stream"} if name == "vilt" else {"text tower", "image tower", "cross"})


def test_blip_skips_cross_attention_where_there_is_no_picture(opened, records):
    model, record = opened("blip"), records("blip")[0]
    (trace,) = trace_record(model, type(record)("t", text=SHORT), model.strategies)
    assert {a.site for a in trace.attention} == {"text tower"}
    assert not any("image" in name for a in trace.attention for name in (a.query, a.key))


@pytest.mark.parametrize("name", ["clip", "siglip", "clap"])
@pytest.mark.parametrize("text", ["red", SHORT, "a photo of the blue square"])
def test_a_text_tower_gives_the_vector_of_the_family(opened, folders, name, text):
    kinds = {"clip": transformers.CLIPModel, "siglip": transformers.SiglipModel, "clap": transformers.ClapModel}
    own = kinds[name].from_pretrained(folders(name)).eval()
    tokenizer = Tokenizer.from_file(str(folders(name) / "tokenizer.json"))
    if name == "siglip":
        tokenizer.enable_padding(length=12, pad_id=0)
    ids = torch.tensor([tokenizer.encode(text).ids])
    model = opened(name)
    with torch.no_grad():
        wanted = own.get_text_features(input_ids=ids).pooler_output[0]
        inputs, _ = model.stack.encoders["text"].prepare([text])
        found = model.head(name)._embedded("text", model.stack.encoders["text"].encode(inputs))[0]
    assert torch.allclose(found, wanted / wanted.norm(), atol=1e-5)
