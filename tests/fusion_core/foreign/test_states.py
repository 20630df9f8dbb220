"""One modality read alone: what every family's `states` must hold, and that those are the family's own last states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from fusion_core.encoders.stack import decode
from fusion_core.errors import CallError
from fusion_core.foreign import family
from fusion_core.foreign.head import ForeignHead, unpacked
from fusion_core.model import pool_rows
from fusion_core.reading.clips import Clip
from tests.conftest import absent
from tests.fusion_core.foreign.tiny import FAMILIES

every = pytest.mark.parametrize("name", FAMILIES)
SHORT = "a photo of the cat"


def reads_alone(head):
    return type(head).states is not ForeignHead.states


def states(head, modality, tokens):
    with torch.no_grad():
        return head.states(modality, tokens)


def encoded(model, modality, given):
    with torch.no_grad():
        return model.stack.encoders[modality].encode(model.stack.encoders[modality].prepare(given)[0])


def read(opened, records, name):
    """The head, and the tokens of three records, each alone and all pooled; None for a family that says it cannot."""
    model = opened(name)
    head = model.head(name)
    with torch.no_grad():
        alone = [model.encode(model.prepare([record])) for record in records(name)[:3]]
    pool = pool_rows(alone)
    if reads_alone(head):
        return head, alone, pool
    for m in model.modalities:
        with pytest.raises(CallError, match="cannot be read one modality at a time"):
            head.states(m, pool[m])
        with pytest.raises(CallError, match="cannot be read one modality at a time"):
            head.states_width(m)
    return None


def test_every_dual_encoder_can_be_read_one_modality_at_a_time(opened):
    for name in FAMILIES:
        assert family[name].fusion != "late" or reads_alone(opened(name).head(name))


@every
def test_states_stand_at_the_same_tokens_and_are_zero_where_there_is_none(opened, records, name):
    if (found := read(opened, records, name)) is None:
        return
    head, _, pool = found
    for m, tokens in pool.items():
        given = replace(tokens, values=torch.where(tokens.mask[..., None], tokens.values, torch.nan))
        got = states(head, m, given)
        assert torch.equal(got.mask, tokens.mask)
        assert got.values.shape == (*tokens.mask.shape, head.states_width(m))
        assert torch.isfinite(got.values).all()
        assert (got.values[~tokens.mask] == 0).all()
        assert (got.values[tokens.mask].abs().sum(dim=-1) > 0).all()


@every
def test_states_do_not_depend_on_batch_or_padding(opened, records, name):
    if (found := read(opened, records, name)) is None:
        return
    head, alone, pool = found
    for m in pool:
        together = states(head, m, pool[m])
        for row, one in enumerate(alone):
            own = states(head, m, one[m])
            length = own.mask.shape[1]
            assert torch.allclose(together.values[row, :length], own.values[0], atol=2e-5)
            assert (together.values[row, length:] == 0).all()


@every
def test_a_record_without_the_modality_has_no_states(opened, records, name):
    if (found := read(opened, records, name)) is None:
        return
    head, _, pool = found
    for m in pool:
        gone = absent(pool, m)[m]
        assert (states(head, m, gone).values == 0).all()
        mask = pool[m].mask.clone()
        mask[1] = False
        rest = states(head, m, replace(pool[m], mask=mask)).values
        assert (rest[1] == 0).all()
        assert torch.allclose(rest[[0, 2]], states(head, m, pool[m]).values[[0, 2]], atol=2e-5)


@every
def test_a_token_that_is_masked_out_leaves_the_sequence(opened, records, name):
    """Pieces and slices close the gap. A patch keeps its place in the picture: whatever stood there changes nothing."""
    if (found := read(opened, records, name)) is None:
        return
    head, alone, _ = found
    for m, tokens in alone[0].items():
        mask = tokens.mask.clone()
        mask[0, 1] = False
        got = states(head, m, replace(tokens, mask=mask)).values
        noise = torch.where(mask[..., None], tokens.values, torch.nan)
        assert torch.equal(states(head, m, replace(tokens, values=noise, mask=mask)).values, got)
        assert not torch.allclose(got[0, 2:], states(head, m, tokens).values[0, 2:], atol=1e-4)
        if m != "image":
            closed = tokens.rows(torch.tensor([0])).each(
                lambda v, keep=mask[0]: v[:, keep] if v is not None else v, tokens.mask[:, mask[0]]
            )
            assert torch.allclose(got[:, mask[0]], states(head, m, closed).values, atol=2e-5)


@every
def test_states_can_be_differentiated(opened, records, name):
    if (found := read(opened, records, name)) is None:
        return
    head, alone, _ = found
    for m, tokens in alone[0].items():
        values = tokens.values.clone().requires_grad_()
        got = head.states(m, replace(tokens, values=values)).values
        weights = torch.randn(got.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((got * weights).sum(), values)
        assert torch.isfinite(gradient).all()
        assert (gradient[tokens.mask].abs().sum(dim=-1) > 0).all()


def test_a_dual_encoder_says_what_it_reads(opened, records):
    head, _, pool = read(opened, records, "clip")
    for asked in (lambda: head.states("audio", pool["text"]), lambda: head.states_width("audio")):
        with pytest.raises(CallError, match="has no audio; it reads text and image"):
            asked()


def test_packed_rows_go_back_to_where_their_tokens_were():
    mask = torch.tensor([[False, True, False, True], [False] * 4, [True] * 4])
    rows = torch.arange(12.0).reshape(3, 4, 1) + 1
    wanted = torch.tensor([[0, 1, 0, 2], [0, 0, 0, 0], [9, 10, 11, 12]])
    assert torch.equal(unpacked(rows, mask)[..., 0], wanted.float())


def texts(name, own, ids):
    """The family's own last states at a text's own pieces, without its special ones."""
    if name == "altclip":
        return own.text_model.pre_LN(own.text_model.roberta(input_ids=ids).last_hidden_state)[0, 1:-1]
    found = own.text_model(input_ids=ids).last_hidden_state[0]
    return found[1:-1] if name in ("clip", "clap") else found[: int((ids[0] != ids[0, -1]).sum()) - 1]


KINDS = {
    "clip": "CLIPModel",
    "altclip": "AltCLIPModel",
    "siglip": "SiglipModel",
    "siglip2": "Siglip2Model",
    "clap": "ClapModel",
}


@pytest.mark.parametrize("name", KINDS)
def test_states_of_a_text_are_the_familys_own(opened, folders, name):
    model = opened(name)
    own = getattr(transformers, KINDS[name]).from_pretrained(folders(name)).eval()
    tokenizer = model.stack.encoders["text"].tokenizer
    ids = tokenizer.encode(SHORT).ids
    if "siglip" in name:
        ids = ids + [0] * (12 - len(ids))
    with torch.no_grad():
        wanted = texts(name, own, torch.tensor([ids]))
    found = states(model.head(name), "text", encoded(model, "text", [SHORT])).values[0]
    assert found.shape == wanted.shape == (5, 16)
    assert torch.allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize("name", ["clip", "altclip", "siglip", "siglip2"])
def test_states_of_a_picture_are_the_familys_own(opened, folders, records, name):
    model = opened(name)
    own = getattr(transformers, KINDS[name]).from_pretrained(folders(name)).eval().vision_model
    encoder = model.stack.encoders["image"]
    inputs, _ = encoder.prepare([decode(records(name)[0], "image")[0]])
    with torch.no_grad():
        if name == "siglip2":
            rows, columns = inputs.axes[0].grid
            cut = inputs.values[0].reshape(3, rows, 8, columns, 8).permute(1, 3, 2, 4, 0).reshape(1, rows * columns, -1)
            there, grid = torch.ones(1, rows * columns, dtype=torch.long), torch.tensor([[rows, columns]])
            wanted = own(cut, pixel_attention_mask=there, spatial_shapes=grid).last_hidden_state
        else:
            wanted = own(pixel_values=inputs.values).last_hidden_state
            wanted = wanted if name == "siglip" else own.post_layernorm(wanted)[:, 1:]
        found = states(model.head(name), "image", encoder.encode(inputs)).values
    assert torch.allclose(found, wanted, atol=2e-5)


def test_states_of_a_clip_come_back_to_the_mean_of_the_familys_feature_map(opened):
    """A clip that fills the window: slices cover its columns once, so their mean is all but the pooled vector."""
    model = opened("clap")
    tower = model.head("clap").towers["audio"]
    samples = (np.random.default_rng(0).standard_normal(160_000) * np.linspace(0.01, 0.5, 160_000)).astype("f4")
    tokens = encoded(model, "audio", [Clip(samples, 16_000, ())])
    found = states(model.head("clap"), "audio", tokens)
    assert found.values.shape == (1, 40, tower.depth)
    with torch.no_grad():
        ((_, _, heard),) = tower._heard(tokens)
    columns = heard.last_hidden_state.mean(dim=2)
    spread = float(columns.std())
    assert torch.allclose(found.values.mean(dim=1), heard.pooler_output, atol=0.02 * spread)
    assert torch.allclose(found.values[0, 20], columns[0, :, 32], atol=0.2 * spread)


def test_a_slice_of_a_clip_is_read_from_the_columns_it_covers_at_every_repetition(opened):
    tower = opened("clap").head("clap").towers["audio"]
    assert (tower.window, tower._times(1), tower._times(8), tower._times(40)) == (1001, 40, 5, 1)
    whole = tower._cover(40, 1)
    assert torch.equal(whole, torch.ones(40, 1))
    cover = tower._cover(8, 1001)  # a column a frame: a slice covers 25 of every 200
    places = torch.arange(1000).reshape(5, 8, 25)[:, 2].flatten()
    assert torch.allclose(cover[2, places], torch.full((125,), 1 / 125))
    assert torch.allclose(cover.sum(dim=1), torch.ones(8))
