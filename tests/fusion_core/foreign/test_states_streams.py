"""States of families that fuse in a stream or by cross-attention: one modality read alone, as the family reads it."""

from __future__ import annotations

import pytest
import torch
import transformers
from tokenizers import Tokenizer

from fusion_core.model import pool_rows
from fusion_core.types import Tokens
from tests.fusion_core.foreign.conftest import LABELS, MATCH
from tests.fusion_core.foreign.test_parity import SHORT

NAMES = ("vilt", "blip", "flava", "bridgetower")
WIDTHS = {"vilt": 16, "blip": 16, "flava": 16, "bridgetower": 64}
every = pytest.mark.parametrize("name", NAMES)
both = pytest.mark.parametrize("modality", ["text", "image"])


def tokens_of(model, records):
    with torch.no_grad():
        return model.encode(model.prepare(records))


def states(model, name, modality, tokens):
    with torch.no_grad():
        return model.head(name).states(modality, tokens)


@every
@both
@pytest.mark.parametrize("asked", [LABELS, MATCH], ids=["labels", "match"])
def test_states_have_the_tokens_mask_and_the_width_that_is_told(opened, records, name, modality, asked):
    model = opened(name, asked)
    tokens = tokens_of(model, records(name)[:3])[modality]
    found = states(model, name, modality, tokens)
    assert model.head(name).states_width(modality) == WIDTHS[name] == found.values.shape[2]
    assert torch.equal(found.mask, tokens.mask)
    assert found.values.shape[:2] == tokens.values.shape[:2]
    assert not found.values[~found.mask].any()
    assert found.values[found.mask].std() > 0.05
    if name in ("flava", "bridgetower"):  # one class answers both tasks: what is asked changes no state
        other = states(opened(name, MATCH if asked == LABELS else LABELS), name, modality, tokens)
        assert torch.equal(other.values, found.values)


@every
@both
def test_states_do_not_depend_on_batch_padding_or_what_absent_tokens_hold(opened, records, name, modality):
    model = opened(name)
    several = [tokens_of(model, [record])[modality] for record in records(name)[:20]]
    pool = pool_rows([{modality: tokens} for tokens in several])[modality]
    garbled = pool.each(lambda v: torch.where(pool.mask[..., None], v, torch.nan))
    together = states(model, name, modality, garbled)
    for row, one in enumerate(several):
        alone = states(model, name, modality, one)
        length = int(one.mask.sum())
        assert torch.allclose(alone.values[0, :length], together.values[row, :length], atol=2e-5)
    absent = Tokens(torch.full_like(pool.values, torch.nan), torch.zeros_like(pool.mask))
    assert not states(model, name, modality, absent).values.any()


@every
def test_a_piece_that_is_masked_out_leaves_the_sequence(opened, records, name):
    model = opened(name)
    text = tokens_of(model, records(name)[:1])["text"]
    hole = text.mask.clone()
    hole[0, 1] = False
    with_hole = states(model, name, "text", Tokens(text.values, hole)).values
    shorter = Tokens(torch.cat([text.values[:, :1], text.values[:, 2:]], dim=1), text.mask[:, 1:])
    without = states(model, name, "text", shorter).values
    assert torch.allclose(torch.cat([with_hole[:, :1], with_hole[:, 2:]], dim=1), without, atol=2e-5)
    assert not with_hole[0, 1].any()


@every
@both
def test_states_can_be_differentiated(opened, records, name, modality):
    model = opened(name)
    tokens = tokens_of(model, records(name)[:1])[modality]
    values = tokens.values.clone().requires_grad_()
    with torch.enable_grad():
        found = model.head(name).states(modality, Tokens(values, tokens.mask)).values
        (gradient,) = torch.autograd.grad(found.pow(2).sum(), values)
    assert gradient[tokens.mask].abs().sum() > 0
    assert torch.isfinite(gradient).all()


def _own(folders, records, name):
    """A family's class, pieces and pixels of one record, and the tokens our encoders make of it."""
    kind = {"flava": "FlavaForPreTraining", "bridgetower": "BridgeTowerForImageAndTextRetrieval",
            "blip": "BlipForImageTextRetrieval", "vilt": "ViltForQuestionAnswering"}[name]  # fmt: skip
    folder = folders(name, "match" if name == "blip" else "labels")
    own = getattr(transformers, kind).from_pretrained(folder, attn_implementation="eager").eval()
    return own, torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(SHORT).ids])


@pytest.mark.parametrize("name", ["blip", "flava", "bridgetower"])
def test_states_are_those_of_the_familys_own_towers(opened, folders, records, name):
    own, ids = _own(folders, records, name)
    model, record = opened(name, MATCH), records(name)[0]
    whole = [type(record)("x", text=SHORT, image=record.image)]
    pixels, tokens = model.prepare(whole).modalities["image"].values, tokens_of(model, whole)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        if name == "blip":
            wanted = {"image": own.vision_model(pixel_values=pixels).last_hidden_state[:, 1:],
                      "text": own.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state}  # fmt: skip
        elif name == "flava":
            wanted = {"image": own.flava.image_model(pixel_values=pixels).last_hidden_state[:, 1:],
                      "text": own.flava.text_model(input_ids=ids, attention_mask=mask).last_hidden_state}  # fmt: skip
        else:
            towers = own.bridgetower
            wanted = {"image": towers.vision_model(pixels)[-1][:, 1:],
                      "text": towers.text_model(input_ids=ids, attention_mask=mask).last_hidden_state}  # fmt: skip
    wanted["text"] = wanted["text"][:, 1:-1]
    for modality, states_wanted in wanted.items():
        assert torch.allclose(states(model, name, modality, tokens[modality]).values, states_wanted, atol=2e-4)


def test_states_of_a_vilt_are_those_of_its_stream_with_the_other_masked(opened, folders, records):
    own, ids = _own(folders, records, "vilt")
    model, record = opened("vilt"), records("vilt")[0]
    whole = [type(record)("x", text=SHORT, image=record.image)]
    pixels, tokens = model.prepare(whole).modalities["image"].values, tokens_of(model, whole)
    only_start = torch.zeros_like(ids)
    only_start[0, 0] = 1  # the start piece carries the answer: it stays
    with torch.no_grad():
        seen = own.vilt(input_ids=ids, attention_mask=only_start, pixel_values=pixels).last_hidden_state
        read = own.vilt(
            input_ids=ids, attention_mask=torch.ones_like(ids), image_embeds=torch.zeros(1, 1, 16),
            pixel_mask=torch.zeros(1, 1),
        ).last_hidden_state  # fmt: skip
    found = states(model, "vilt", "image", tokens["image"]).values[0]
    wanted = seen[0, ids.shape[1] + 1 :]
    # The family draws the order of patches anew: as sets they are the same.
    assert torch.allclose(torch.cdist(found, wanted).min(dim=1).values, torch.zeros(len(found)), atol=1e-3)
    text = states(model, "vilt", "text", tokens["text"]).values[0]
    assert torch.allclose(text, read[0, 1 : len(text) + 1], atol=2e-4)
