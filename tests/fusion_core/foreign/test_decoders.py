"""Decoders weigh answers as the family's own forward does on the whole sequence, one answer at a time."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from dashboard.views.maps import unit_of
from fusion_core.asked import Asked
from fusion_core.encoders.stack import decode
from fusion_core.errors import CallError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.decoder import candidates
from fusion_core.lines import trace_line
from fusion_core.trace import trace_record
from fusion_core.types import Record
from tests.fusion_core.foreign.conftest import LABELS, MATCH

TEXT = "what is red"


def likelihoods(own, tokenizer, prompt, labels, gap=" ", **inputs):
    """The mean log-likelihood of each label behind a prompt, each in a pass of its own."""
    found = []
    start = tokenizer.encode(prompt).ids
    for label in labels:
        ids = tokenizer.encode(prompt + gap + label).ids
        assert ids[: len(start)] == start
        with torch.no_grad():
            logits = own(input_ids=torch.tensor([ids]), **inputs).logits[0]
        told = logits[len(start) - 1 : -1].log_softmax(dim=-1)
        found.append(told[torch.arange(len(ids) - len(start)), ids[len(start) :]].mean())
    return torch.stack(found)


def answered(model, record):
    with torch.no_grad():
        return model.fuse(model.encode(model.prepare([record])), model.default_strategy)[0]


@pytest.fixture(scope="module")
def llava(folders):
    folder = folders("llava")
    own = transformers.LlavaForConditionalGeneration.from_pretrained(folder).eval()
    return own, Tokenizer.from_file(str(folder / "tokenizer.json")), folder


def pixels(folder, record):
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    seen = CLIPImageProcessorPil(**settings)(images=decode(record, "image")[0].pixels, return_tensors="pt")
    return seen["pixel_values"]


def test_llava_weighs_answers_as_the_family_does(llava, opened, records):
    own, tokenizer, folder = llava
    record = Record("x", text=TEXT, image=records("llava")[0].image)
    prompt = f"USER: {'<image>' * 16}\n{TEXT} ASSISTANT:"
    wanted = likelihoods(own, tokenizer, prompt, LABELS.labels, pixel_values=pixels(folder, record))
    assert torch.allclose(answered(opened("llava"), record), wanted, atol=2e-4)
    assert len({len(a) for a in opened("llava").head("llava").prompt.answers}) > 1


def test_what_is_absent_is_not_in_the_sequence(llava, opened, records):
    own, tokenizer, folder = llava
    image = records("llava")[0].image
    alone = answered(opened("llava"), Record("t", text=TEXT))
    assert torch.allclose(alone, likelihoods(own, tokenizer, f"USER: \n{TEXT} ASSISTANT:", LABELS.labels), atol=2e-4)
    seen = answered(opened("llava"), Record("i", image=image))
    prompt = f"USER: {'<image>' * 16}\n ASSISTANT:"
    pictured = pixels(folder, Record("i", image=image))
    assert torch.allclose(seen, likelihoods(own, tokenizer, prompt, LABELS.labels, pixel_values=pictured), atol=2e-4)


def test_a_match_asks_yes_or_no_and_a_prompt_stands_behind_the_text(llava, folders, records):
    own, tokenizer, folder = llava
    record = Record("x", text=TEXT, image=records("llava")[0].image)
    model = load_foreign(folder, Asked(task="match", prompt="Same?"), lambda: records("llava"))
    prompt = f"USER: {'<image>' * 16}\n{TEXT}\nSame? ASSISTANT:"
    wanted = likelihoods(own, tokenizer, prompt, ("no", "yes"), pixel_values=pixels(folder, record))
    assert torch.allclose(answered(model, record), wanted, atol=2e-4)
    assert answered(model, Record("t", text=TEXT)).abs().max() == 0


def test_the_free_answer_is_what_greedy_generation_writes(llava, opened, records):
    own, tokenizer, folder = llava
    record = Record("x", text=TEXT, image=records("llava")[0].image)
    model = opened("llava")
    _, tokens = model.encode_record(record)
    ids = torch.tensor([tokenizer.encode(f"USER: {'<image>' * 16}\n{TEXT} ASSISTANT:").ids])
    with torch.no_grad():
        told = own.generate(input_ids=ids, pixel_values=pixels(folder, record), max_new_tokens=24, do_sample=False)
    wanted = tokenizer.decode(told[0, ids.shape[1] :].tolist(), skip_special_tokens=True).strip()
    with torch.no_grad():
        assert model.head("llava").free_answer(tokens) == wanted
    (trace,) = trace_record(model, record, model.strategies)
    assert trace.free_answer == wanted
    assert trace_line(trace, False)["free_answer"] == wanted


def test_answers_side_by_side_read_their_own_pieces_only():
    found = candidates(((5, 6, 7), (8,), (9, 4)))
    assert found.pieces.tolist() == [5, 6, 9]
    assert found.steps.tolist() == [0, 1, 0]
    assert found.order.int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert found.told.tolist() == [5, 6, 7, 8, 9, 4]
    assert found.at.tolist() == [0, 1, 2, 0, 0, 3]


def test_a_long_text_is_cut_and_a_long_label_is_refused(folders, opened, records):
    model = opened("llava")
    inputs = model.prepare([Record("x", text="red " * 400, image=records("llava")[0].image)])
    assert any("text cut to its first" in note for note in inputs.notes[0])
    assert torch.isfinite(answered(model, Record("x", text="red " * 400))).all()
    with pytest.raises(CallError, match="word pieces"):
        load_foreign(folders("llava"), Asked(labels=("red", "q" * 90)))
    assert len(load_foreign(folders("llava"), MATCH).classes) == 2


def test_the_map_on_the_whole_is_the_row_where_the_answer_begins(opened, records):
    (trace,) = trace_record(opened("llava"), records("llava")[0], ("llava",))
    assert {a.query for a in trace.attention if a.summary} == {"answer_start"}
    rows = [a for a in trace.attention if a.summary and a.layer == 1]
    assert sum(a.weights.sum(axis=-1) for a in rows) == pytest.approx(1.0, abs=1e-5)
    assert unit_of(trace.axes["text"]) == "word piece"
