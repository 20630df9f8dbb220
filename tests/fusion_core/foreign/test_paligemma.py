"""PaliGemma and PaliGemma 2 weigh answers as the family's own forward does: a prefix, then the answer in order."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from fusion_core.asked import Asked
from fusion_core.attention import capture, uniform
from fusion_core.encoders.stack import decode
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.types import Record
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.test_decoders import TEXT, answered
from tests.fusion_core.foreign.tiny.paligemma import paligemma

CELLS = "<image>" * 16


class Own:
    """A folder opened by the family's own class, with its own preprocessing."""

    def __init__(self, folder):
        self.folder = folder
        self.model = transformers.PaliGemmaForConditionalGeneration.from_pretrained(
            folder, attn_implementation="eager"
        ).eval()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.settings = json.loads((folder / "preprocessor_config.json").read_text())

    def pixels(self, record):
        shown = decode(record, "image")[0].pixels
        return SiglipImageProcessorPil(**self.settings)(images=shown, return_tensors="pt")["pixel_values"]

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def likelihoods(self, prompt, labels, **inputs):
        """The mean log-likelihood of each label as the suffix of a prompt, each in a pass of its own."""
        found, start = [], self.ids(prompt)
        for label in labels:
            told = self.ids(label)
            kinds = torch.tensor([[0] * len(start) + [1] * len(told)])
            with torch.no_grad():
                logits = self.model(input_ids=torch.tensor([start + told]), token_type_ids=kinds, **inputs).logits[0]
            likely = logits[len(start) - 1 : -1].log_softmax(dim=-1)
            found.append(likely[torch.arange(len(told)), told].mean())
        return torch.stack(found)


@pytest.fixture(scope="module", params=["first", "second"])
def owned(request, folders, tmp_path_factory, records):
    second = request.param == "second"
    folder = paligemma(tmp_path_factory.mktemp("second"), second=True) if second else folders("paligemma")
    return Own(folder), load_foreign(folder, LABELS, lambda: records("paligemma"))


def test_answers_are_weighed_as_the_family_does(owned, records):
    own, model = owned
    record = Record("x", text=TEXT, image=records("paligemma")[0].image)
    prompt = f"{CELLS}<bos>answer en {TEXT}\n"
    wanted = own.likelihoods(prompt, LABELS.labels, pixel_values=own.pixels(record))
    assert torch.allclose(answered(model, record), wanted, atol=2e-4)


@pytest.mark.parametrize("text", ["red cat", " red", "1 red", "\n", ""])
def test_a_text_is_cut_behind_its_question_as_the_family_cuts_it(owned, text):
    own, model = owned
    inputs = model.prepare([Record("x", text=text)])
    wanted = own.likelihoods(f"<bos>answer en {text}\n", LABELS.labels)
    assert torch.allclose(answered(model, Record("x", text=text)), wanted, atol=2e-4)
    assert all(label == text[int(a) : int(b)] for label, (a, b) in zip(*_words(inputs), strict=True))


def _words(inputs):
    axis = inputs.axes(0)["text"]
    return axis.labels, axis.spans


def test_what_is_absent_is_not_in_the_prefix(owned, records):
    own, model = owned
    wanted = own.likelihoods(f"<bos>answer en {TEXT}\n", LABELS.labels)
    assert torch.allclose(answered(model, Record("t", text=TEXT)), wanted, atol=2e-4)
    seen = Record("i", image=records("paligemma")[0].image)
    wanted = own.likelihoods(f"{CELLS}<bos>answer en\n", LABELS.labels, pixel_values=own.pixels(seen))
    assert torch.allclose(answered(model, seen), wanted, atol=2e-4)


def test_the_free_answer_is_what_greedy_generation_writes(owned, records):
    own, model = owned
    record = Record("x", text=TEXT, image=records("paligemma")[0].image)
    _, tokens = model.encode_record(record)
    ids = torch.tensor([own.ids(f"{CELLS}<bos>answer en {TEXT}\n")])
    with torch.no_grad():
        told = own.model.generate(
            input_ids=ids, token_type_ids=torch.zeros_like(ids), pixel_values=own.pixels(record), max_new_tokens=24,
            do_sample=False,
        )  # fmt: skip
    wanted = own.tokenizer.decode(told[0, ids.shape[1] :].tolist(), skip_special_tokens=True).strip()
    assert model.head("paligemma").free_answer(tokens) == wanted


def test_a_match_and_a_prompt_stand_behind_the_text(owned, records):
    own, _ = owned
    record = Record("x", text=TEXT, image=records("paligemma")[0].image)
    model = load_foreign(own.folder, Asked(task="match", prompt="Same?"), lambda: records("paligemma"))
    prompt = f"{CELLS}<bos>answer en {TEXT} Same?\n"
    wanted = own.likelihoods(prompt, ("no", "yes"), pixel_values=own.pixels(record))
    assert torch.allclose(answered(model, record), wanted, atol=2e-4)
    assert answered(model, Record("t", text=TEXT)).abs().max() == 0


def test_bent_scores_are_heard_as_they_are_used(owned, records):
    own, model = owned
    head = model.head("paligemma")
    bent = own.model.config.text_config.model_type == "gemma2"
    assert head.kernel == ("explicit" if bent else "fused")
    _, tokens = model.encode_record(Record("x", text=TEXT, image=records("paligemma")[0].image))
    with torch.no_grad():
        plain = head(tokens).logits
    with torch.no_grad(), capture() as tape:
        heard = head(tokens).logits
    assert torch.equal(heard, plain)
    with torch.no_grad(), capture(edit=lambda probe, weights, allowed: weights) as edited:
        passed = head(tokens).logits
    with torch.no_grad(), capture(edit=uniform):
        level = head(tokens).logits
    assert len(tape.captured) == len(edited.captured) == 2
    assert torch.allclose(heard, passed, atol=2e-5)
    assert not torch.allclose(heard, level, atol=1e-4)
    weights = tape.captured[0].weights[0]
    prefix = dict(tape.captured[0].query)
    last = sum(length for name, length in prefix.items() if name != "answer")
    assert (weights[:, :last, :last] > 0).all()  # everything in the prefix reads everything in it
    assert weights[:, :last, last:].abs().max() == 0


def test_a_picture_that_outgrows_the_window_is_refused_and_text_keeps_within_it(tmp_path, opened):
    near = paligemma(tmp_path / "near", second=True, sliding_window=128)
    limit = load_foreign(near, LABELS).stack.encoders["text"].limit
    assert 0 < limit < 128 - 16 < opened("paligemma").stack.encoders["text"].limit
    with pytest.raises(ModelError, match="no room for text"):
        load_foreign(paligemma(tmp_path / "far", second=True, sliding_window=32), LABELS)


def test_a_tokenizer_without_its_start_is_refused(tmp_path):
    folder = paligemma(tmp_path / "p")
    kept = json.loads((folder / "tokenizer.json").read_text())
    kept["added_tokens"] = [t for t in kept["added_tokens"] if t["content"] != "<bos>"]
    kept["model"]["vocab"] = {"<was>" if k == "<bos>" else k: v for k, v in kept["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(kept))
    with pytest.raises(ModelError, match="<bos>"):
        load_foreign(folder, LABELS)


def test_states_are_the_familys_own_with_nothing_else_to_read(owned, records):
    own, model = owned
    record = Record("x", text=TEXT, image=records("paligemma")[0].image)
    _, tokens = model.encode_record(record)
    for modality, prompt in (("text", f"<bos>answer en {TEXT}\n"), ("image", f"{CELLS}<bos>answer en\n")):
        ids = torch.tensor([own.ids(prompt)])
        given = {"pixel_values": own.pixels(record)} if modality == "image" else {}
        with torch.no_grad():
            found = model.head("paligemma").states(modality, tokens[modality]).values[0]
            read = own.model.model(input_ids=ids, token_type_ids=torch.zeros_like(ids), **given).last_hidden_state[0]
        start = 0 if modality == "image" else ids.shape[1] - 1 - len(found)
        assert torch.allclose(found, read[start : start + len(found)], atol=2e-4)
