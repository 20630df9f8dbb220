"""SigLIP2 of any shape: sizes, positions, pooling and text are those of the family's own processor and forward."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer
from transformers.models.siglip2.image_processing_pil_siglip2 import (
    Siglip2ImageProcessorPil,
    get_image_size_for_max_num_patches,
)
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

from fusion_core.attention import capture
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.foreign.siglip2 import PatchBudget, lowered
from fusion_core.model import pool_rows
from fusion_core.reading.pictures import Picture
from fusion_core.verify.parity import parity
from tests.fusion_core.foreign.conftest import LABELS, MATCH

SHORT = "a Photo of the CAT"
LONG = "a photo of the red cat what colour the blue dog play square"
SIZES = [(32, 32), (60, 90), (1, 1), (1, 700), (700, 1), (6, 300), (311, 17)]


@pytest.fixture(scope="module")
def own(folders):
    return transformers.Siglip2Model.from_pretrained(folders("siglip2")).eval()


def pixels_of(size):
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


def tokens_of(model, text, pixels):
    encoders = model.stack.encoders
    words, noted = encoders["text"].prepare([text])
    shown, squeezed = encoders["image"].prepare([None if pixels is None else Picture(pixels, ())])
    with torch.no_grad():
        tokens = {"text": encoders["text"].encode(words), "image": encoders["image"].encode(shown)}
    return tokens, shown.axes[0], (*noted[0], *squeezed[0])


def seen(folder, pixels):
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    # Said, for the family takes a side of 1 or 3 pixels for the channels.
    return Siglip2ImageProcessorPil(**settings)(images=pixels, return_tensors="pt", input_data_format="channels_last")


def pieces_of(folder, *texts):
    """Ids as the family pads them: lower case, the tokenizer's own padding piece, to the last position."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=12, pad_id=0, pad_token="<pad>")
    tokenizer.enable_truncation(12)
    return torch.tensor([tokenizer.encode(text.lower()).ids for text in texts])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_of_any_shape_is_scored_against_labels_as_the_family_does(opened, folders, own, size):
    model, pixels = opened("siglip2"), pixels_of(size)
    given = seen(folders("siglip2"), pixels)
    tokens, axis, _ = tokens_of(model, None, pixels)
    with torch.no_grad():
        wanted = own(input_ids=pieces_of(folders("siglip2"), *model.classes), **given).logits_per_image[0]
        found = model.fuse(tokens, "siglip2")[0]
    assert list(axis.grid) == given["spatial_shapes"][0].tolist()
    assert tokens["image"].mask.sum() == given["pixel_attention_mask"].sum()
    assert axis.spans[-1][2:] == pytest.approx((size[1], size[0]))
    assert torch.allclose(found, wanted - own.logit_bias.detach(), atol=2e-4)


@pytest.mark.parametrize("size", [(60, 90), (1, 700)], ids=str)
def test_a_match_is_its_own_logit(opened, folders, own, size):
    model, pixels = opened("siglip2", MATCH), pixels_of(size)
    tokens, _, _ = tokens_of(model, SHORT, pixels)
    with torch.no_grad():
        wanted = own(input_ids=pieces_of(folders("siglip2"), SHORT), **seen(folders("siglip2"), pixels))
        found = model.fuse(tokens, "siglip2")[0]
    assert found[0] == 0
    assert torch.allclose(found[1], wanted.logits_per_image[0, 0], atol=2e-4)


def test_pictures_of_several_shapes_in_one_batch_answer_as_each_alone(opened):
    model = opened("siglip2")
    several = [tokens_of(model, SHORT, pixels_of(size))[0] for size in SIZES]
    with torch.no_grad():
        together = model.fuse(pool_rows(several), "siglip2")
        alone = torch.cat([model.fuse(tokens, "siglip2") for tokens in several])
    assert torch.allclose(together, alone, atol=2e-5)


def test_a_picture_that_cannot_keep_its_shape_is_noted(opened):
    model = opened("siglip2")
    assert tokens_of(model, None, pixels_of((60, 90)))[2] == ()
    assert tokens_of(model, None, pixels_of((1, 700)))[2] == ("image squeezed to 160 x 8 px from 700 x 1",)


@pytest.mark.parametrize(("patch", "most"), [(16, 256), (14, 729), (8, 20), (16, 1)])
def test_the_size_of_a_picture_is_the_familys(patch, most):
    rule = PatchBudget({"max_num_patches": most, "patch_size": patch}, "m", patch)
    rng = np.random.default_rng(0)
    for height, width in [*rng.integers(1, 3_000, (60, 2)).tolist(), [1, 1], [1, 40_000], [40_000, 1], [6_000, 6_000]]:
        wanted = get_image_size_for_max_num_patches(height, width, patch, most)
        assert rule.size(height, width)[0] == wanted


@pytest.mark.parametrize("text", ["red", SHORT, LONG])
def test_text_gives_the_vector_of_the_family_in_lower_case_padded_and_cut(opened, folders, own, text):
    model = opened("siglip2")
    tokens, _, noted = tokens_of(model, text, None)
    with torch.no_grad():
        wanted = own.get_text_features(input_ids=pieces_of(folders("siglip2"), text)).pooler_output[0]
        found = model.head("siglip2")._embedded("text", tokens["text"])[0]
    assert own.config.text_config.pad_token_id == 1  # the end piece: what text would be padded with by the config
    assert torch.allclose(found, wanted / wanted.norm(), atol=1e-5)
    assert noted == (("text cut to its first 47 of 59 characters (11 pieces)",) if text == LONG else ())


def test_empty_text_is_one_padding_piece(opened):
    tokens, _, _ = tokens_of(opened("siglip2"), "", pixels_of((32, 32)))
    assert tokens["text"].mask.tolist() == [[True]]
    with torch.no_grad():
        assert torch.isfinite(opened("siglip2").fuse(tokens, "siglip2")).all()


def test_pieces_are_those_of_the_familys_tokenizer(opened, tmp_path):
    """Gemma's: double spaces and bytes of an unknown character are pieces too, and its file has no lower case."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abcdt", "▁a", "▁▁", "at"]
    names += [f"<0x{byte:02X}>" for byte in range(256)]
    merges = [("▁", "a"), ("▁", "▁"), ("a", "t")]
    own = Siglip2Tokenizer(vocab={name: n for n, name in enumerate(names)}, merges=merges)
    written = json.loads(own.backend_tokenizer.to_str())
    written["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    tokenizer = lowered(Tokenizer.from_str(json.dumps(written)))
    source = opened("siglip2").stack.encoders["text"].source
    encoder = PieceEncoder(source, tokenizer, torch.nn.Embedding(len(names), 4), 64, 0)
    for text in ("A cat", "a  Cat at", "猫 a", "at 猫 ", "  b"):
        found, axis, _ = encoder._pieces(text)
        assert found == own(text, add_special_tokens=False)["input_ids"]
        assert [text[int(a) : int(b)] for a, b in axis.spans] == list(axis.labels)
        assert all(axis.labels)


def test_attention_is_heard_in_both_towers_and_where_the_picture_is_pooled(opened):
    model = opened("siglip2")
    tokens, _, _ = tokens_of(model, SHORT, pixels_of((60, 90)))
    with torch.no_grad(), capture() as tape:
        model.fuse(tokens, "siglip2")
    assert {c.site for c in tape.captured} == {"text tower", "image tower", "image pooling"}
    assert parity(model, tokens, "siglip2").value < 1e-4


@pytest.mark.parametrize(
    ("name", "entries", "said"),
    [
        ("preprocessor_config.json", {"patch_size": 16}, "cuts 16 px patches; the model reads 8 px"),
        ("preprocessor_config.json", {"max_num_patches": 10**9}, "allows 1,000,000,000 patches"),
        ("preprocessor_config.json", {"max_num_patches": 0}, "allows 0 patches"),
        ("preprocessor_config.json", {"max_num_patches": "many"}, "cannot be read"),
    ],
)
def test_a_preprocessor_that_does_not_fit_the_model_is_refused(folders, tmp_path, name, entries, said):
    folder = shutil.copytree(folders("siglip2"), tmp_path / "model")
    (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | entries))
    with pytest.raises(ModelError, match=said):
        load_foreign(folder, LABELS)


def test_a_model_whose_pictures_are_not_pooled_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders("siglip2"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["vision_use_head"] = False
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its pictures have no vector"):
        load_foreign(folder, LABELS)


@pytest.mark.parametrize("name", ["siglip", "siglip2"])
def test_text_is_padded_with_the_tokenizers_own_piece(folders, tmp_path, name):
    """A config may say another: SigLIP2's says the end piece."""
    folder = shutil.copytree(folders(name), tmp_path / "model")
    for file, written in (
        ("special_tokens_map.json", {"pad_token": {"content": "<unk>"}}),
        ("tokenizer_config.json", {"pad_token": "<mask>"}),
    ):
        (folder / "tokenizer_config.json").unlink(missing_ok=True)
        (folder / file).write_text(json.dumps(written))
        encoder = load_foreign(folder, LABELS).stack.encoders["text"]
        named = written["pad_token"] if isinstance(written["pad_token"], str) else written["pad_token"]["content"]
        assert encoder.pad == encoder.tokenizer.token_to_id(named)
