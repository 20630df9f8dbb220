"""Whole record sets: order, isolation of bad rows, and answers that are not numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion_core.answer_table import answer_table
from fusion_core.answers import Answer, Failure, answer_rows
from fusion_core.errors import RecordError
from fusion_core.fusion import strategy as heads
from fusion_core.lines import predict_line
from fusion_core.model import FusedModel
from fusion_core.types import Inputs, ModalityInputs, Record, Refusal, TokenAxis
from tests.conftest import SPECS, random_tokens


class FakeStack:
    """Prepares text whose content says what goes wrong with it."""

    modalities = ("text", "image", "audio")
    specs = SPECS

    def prepare(self, records):
        for record in records:
            if record.text == "unreadable":
                raise RecordError("cannot be read", "image_damaged", record.id)
        values = torch.tensor([[math.nan if r.text == "nan" else 1.0] for r in records])
        axis = TokenAxis("words", ("w",), ((0.0, 1.0),))
        part = ModalityInputs(values, torch.ones(len(records), 1) > 0, (axis,) * len(records))
        return Inputs({"text": part}, ((),) * len(records))

    def encode(self, inputs):
        tokens = random_tokens(inputs.modalities["text"].values.shape[0])
        text = tokens["text"]
        scaled = text.values * inputs.modalities["text"].values[:, :, None]
        return {**tokens, "text": replace(text, values=scaled)}


@pytest.fixture
def model(tiny_model):
    return FusedModel(
        "m", tiny_model.classes, FakeStack(), tiny_model.heads, tiny_model.fitted, tiny_model.background, "late"
    )


def rows(*texts):
    return [Record(id=f"r{k}", text=text) for k, text in enumerate(texts)]


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_every_row_ends_as_an_answer_or_an_error_in_its_place(model, batch):
    given = [*rows("good", "unreadable", "good"), Refusal("x", "file_missing", "no file"), *rows("good")]
    found = list(answer_rows(model, given, ["late"], batch))
    assert [type(f) for f in found] == [Answer, Failure, Answer, Failure, Answer]
    assert [f.code for f in found if isinstance(f, Failure)] == ["image_damaged", "file_missing"]


def test_a_nan_logit_is_an_error_of_that_strategy_and_never_a_class(model):
    found = list(answer_rows(model, rows("good", "nan"), ["late", "early"]))
    assert [type(f) for f in found] == [Answer, Answer, Failure, Failure]
    line = predict_line(found[-1])
    assert (line["code"], line["strategy"], line["prediction"]) == ("nonfinite_output", "early", None)
    table = answer_table(found)
    assert table["prediction"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("strategy", list(heads))
def test_an_answer_carries_the_fused_vector_it_was_read_from(model, strategy):
    found = list(answer_rows(model, rows("good", "good", "good"), [strategy]))
    tokens = random_tokens(3)
    logits, fused = model.embed(tokens, strategy)
    assert torch.equal(logits, model.fuse(tokens, strategy))
    for row, answer in enumerate(found):
        assert answer.fused.dtype == np.float32
        assert answer.fused.tolist() == fused[row].tolist()
        assert answer.prediction.probabilities.tolist() == logits[row].double().softmax(0).tolist()


def test_a_record_with_nothing_the_model_reads_is_refused(model):
    found = list(answer_rows(model, [Record(id="empty")], ["late"]))
    assert (found[0].code, found[0].strategy) == ("record_empty", None)
