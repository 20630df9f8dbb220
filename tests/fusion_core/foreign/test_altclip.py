"""AltCLIP: our way gives the numbers of the family's own forward, for odd pictures and texts too."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fusion_core.attention import capture
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.reading.pictures import Picture
from fusion_core.verify.parity import parity
from tests.fusion_core.foreign.conftest import MATCH

LONG = "a photo of the red cat what colour the blue dog play square"


@pytest.fixture(scope="module")
def own(folders):
    return transformers.AltCLIPModel.from_pretrained(folders("altclip")).eval()


def tokens_of(model, text, pixels):
    encoders = model.stack.encoders
    words, noted = encoders["text"].prepare([text])
    shown, _ = encoders["image"].prepare([None if pixels is None else Picture(pixels, ())])
    with torch.no_grad():
        return {"text": encoders["text"].encode(words), "image": encoders["image"].encode(shown)}, noted[0]


def pixels_of(size):
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


def seen(folder, pixels):
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    # Said, for the family takes a side of 1 or 3 pixels for the channels.
    return CLIPImageProcessorPil(**settings)(images=pixels, return_tensors="pt", input_data_format="channels_last")[
        "pixel_values"
    ]


@pytest.mark.parametrize("size", [(32, 32), (60, 90), (1, 1), (40, 300), (300, 40)], ids=str)
def test_a_picture_is_scored_against_labels_as_the_family_does(opened, folders, own, size):
    model, pixels = opened("altclip"), pixels_of(size)
    tokenizer = Tokenizer.from_file(str(folders("altclip") / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    batch = tokenizer.encode_batch(list(model.classes))
    ids, there = (torch.tensor([getattr(e, part) for e in batch]) for part in ("ids", "attention_mask"))
    tokens, _ = tokens_of(model, None, pixels)
    with torch.no_grad():
        wanted = own(
            input_ids=ids, attention_mask=there, pixel_values=seen(folders("altclip"), pixels)
        ).logits_per_image[0]
        found = model.fuse(tokens, "altclip")[0]
    assert float(wanted.max() - wanted.min()) > 0.1
    assert torch.allclose(found, wanted, atol=2e-4)


def test_a_match_is_the_familys_logit_and_a_threshold(opened, folders, own):
    model, pixels = opened("altclip", MATCH), pixels_of((50, 70))
    ids = torch.tensor([Tokenizer.from_file(str(folders("altclip") / "tokenizer.json")).encode("the red cat").ids])
    tokens, _ = tokens_of(model, "the red cat", pixels)
    with torch.no_grad():
        wanted = own(input_ids=ids, pixel_values=seen(folders("altclip"), pixels)).logits_per_image[0, 0]
        found = model.fuse(tokens, "altclip")[0]
    assert found[0] == 0
    assert torch.allclose(found[1] - model.head("altclip").bias, wanted, atol=2e-4)


@pytest.mark.parametrize("text", ["red", "a photo of the blue square", LONG])
def test_the_text_tower_gives_the_vector_of_the_family_and_text_that_is_too_long_is_cut_and_noted(
    opened, folders, own, text
):
    tokenizer = Tokenizer.from_file(str(folders("altclip") / "tokenizer.json"))
    tokenizer.enable_truncation(14)  # 16 positions, numbered from behind padding piece 1
    ids = torch.tensor([tokenizer.encode(text).ids])
    model = opened("altclip")
    tokens, noted = tokens_of(model, text, None)
    with torch.no_grad():
        wanted = own.get_text_features(input_ids=ids).pooler_output[0]
        found = model.head("altclip")._embedded("text", tokens["text"])[0]
    assert torch.allclose(found, wanted / wanted.norm(), atol=1e-5)
    assert noted == (("text cut to its first 52 of 59 characters (12 pieces)",) if text == LONG else ())


def test_empty_text_is_one_padding_piece(opened):
    model = opened("altclip")
    tokens, noted = tokens_of(model, "", pixels_of((32, 32)))
    assert tokens["text"].mask.tolist() == [[True]]
    assert noted == ()
    with torch.no_grad():
        assert torch.isfinite(model.fuse(tokens, "altclip")).all()


def test_attention_is_heard_in_both_towers_and_gradients_give_the_same_answer(opened):
    model = opened("altclip")
    tokens, _ = tokens_of(model, "the red cat", pixels_of((32, 32)))
    with torch.no_grad(), capture() as tape:
        model.fuse(tokens, "altclip")
    assert {(c.site, c.layer) for c in tape.captured} == {(s, n) for s in ("text tower", "image tower") for n in (0, 1)}
    assert parity(model, tokens, "altclip").value < 1e-4


def test_a_piece_of_nothing_but_a_word_boundary_is_read(opened):
    """XLM-R writes one before a character that begins no piece with it, as in Chinese text."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("▁cat", -2.0), ("猫", -4.0)]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("a", -9.0)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    encoder = PieceEncoder(opened("altclip").stack.encoders["text"].source, tokenizer, torch.nn.Embedding(8, 4), 12, 1)
    inputs, _ = encoder.prepare(["猫 cat"])
    wanted = encoder.embed([4, 6, 5])
    assert torch.equal(inputs.values[0], wanted)
    assert inputs.axes[0].labels == ("猫", "猫", "cat")
