"""A model in half precision, or elsewhere: the tool around it goes on in float32 on the CPU, and says where it is."""

from __future__ import annotations

import copy
from concurrent.futures import Future
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from fusion_core.asked import Asked
from fusion_core.attention import capture
from fusion_core.doctor import capabilities
from fusion_core.errors import CallError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.place import HERE, Place, place_of
from fusion_core.foreign.placing import Crossing
from fusion_core.opening import mark_model, open_fused
from fusion_core.question import Question
from fusion_core.report import gather
from fusion_core.token_cache import encoder_key
from fusion_core.trace import trace_record
from tests.conftest import SAMPLES, absent
from tests.fusion_core.foreign.conftest import LABELS, MATCH
from tests.fusion_core.foreign.elsewhere import NAME as ELSEWHERE
from tests.fusion_core.foreign.elsewhere import another_device
from tests.fusion_core.foreign.tiny import FAMILIES

HALF = Asked(labels=LABELS.labels, dtype="bfloat16")
every = pytest.mark.parametrize("name", FAMILIES)


def fused(model, records):
    tokens = model.encode(model.prepare(records))
    with torch.no_grad():
        return tokens, model.fuse(tokens, model.default_strategy)


@every
def test_half_precision_answers_nearly_alike_and_everything_outside_is_float32(opened, records, name):
    some = records(name)[:4]
    (plain, wanted), (tokens, found) = (fused(opened(name, asked), some) for asked in (LABELS, HALF))
    assert found.dtype == torch.float32
    assert not torch.equal(found, wanted)
    assert float((found - wanted).abs().max()) <= 0.1 * float(wanted.max() - wanted.min())
    for m, own in tokens.items():
        assert own.values.dtype == torch.float32
        assert torch.equal(own.mask, plain[m].mask)
    weights = {p.dtype for p in opened(name, HALF).head(name).parameters()}
    assert weights == {torch.bfloat16}


@every
def test_half_precision_traces_at_both_seams_and_its_tapes_are_float32(opened, records, name):
    model = opened(name, HALF)
    for seam in ("fusion", "input"):
        question = Question(seam=seam, method="input_x_gradient")
        (trace,) = trace_record(model, records(name)[0], model.strategies, question)
        assert trace.prediction.finite
        assert {m for a in trace.attributions for m in a.scores} == set(trace.axes)
        assert any(abs(scores).sum() > 0 for a in trace.attributions for scores in a.scores.values())
    _, tokens = model.encode_record(records(name)[0])
    with torch.no_grad(), capture() as tape:
        model.fuse(tokens, name)
    assert tape.captured
    assert {c.weights.dtype for c in tape.captured} == {torch.float32}


@every
def test_gradients_pass_the_seam(opened, records, name):
    model = opened(name, HALF)
    _, tokens = model.encode_record(records(name)[0])
    values = {m: t.values.clone().requires_grad_() for m, t in tokens.items()}
    given = {m: t.put("tokens", values[m]) for m, t in tokens.items()}
    top = model.fuse(given, name).max()
    found = torch.autograd.grad(top, list(values.values()))
    assert all(g.dtype == torch.float32 and bool(torch.isfinite(g).all()) for g in found)
    assert sum(float(g.abs().sum()) for g in found) > 0


def test_a_match_takes_its_threshold_from_records_in_half_precision_too(opened, records):
    asked = Asked(task="match", dtype="bfloat16")
    some = records("clip")[:4]
    (_, wanted), (_, found) = (fused(opened("clip", a), some) for a in (MATCH, asked))
    assert float((found - wanted).abs().max()) <= 0.1 * float(wanted.max() - wanted.min())


def test_a_copy_of_a_placed_head_answers_with_its_own_weights(opened, records):
    model = opened("clip", HALF)
    tokens, before = fused(model, records("clip")[:2])
    twin = copy.deepcopy(model.head("clip"))
    with torch.no_grad():
        assert torch.equal(twin(tokens).logits, before)
        for weights in twin.parameters():
            weights.zero_()
        assert not torch.equal(twin(tokens).logits, before)
        torch.manual_seed(0)
        assert not torch.allclose(model.head("clip").stranger(3).eval()(tokens).logits, before, atol=1e-3)
        assert torch.equal(model.fuse(tokens, "clip"), before)


def test_on_the_cpu_in_float32_there_is_no_seam(opened):
    model = opened("clip")
    assert model.head("clip").place.is_here
    assert not any(isinstance(v, Crossing) for v in vars(model.head("clip")).values())
    assert not any(isinstance(v, Crossing) for v in vars(model.stack.encoders["text"]).values())


def test_the_device_is_chosen_by_what_is_here(monkeypatch):
    assert place_of(Asked()) == HERE
    assert place_of(Asked(dtype="float16")).precision == "float16"
    with pytest.raises(CallError, match="--device cuda is not here: torch sees cpu"):
        place_of(Asked(device="cuda"))
    with pytest.raises(CallError, match="--device 'tpu' is unknown; known: auto, cuda, mps, cpu"):
        place_of(Asked(device="tpu"))
    with pytest.raises(CallError, match="--dtype 'int8' is unknown"):
        place_of(Asked(dtype="int8"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert place_of(Asked()).words == "mps · float16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert place_of(Asked()).words == "cuda · bfloat16"
    assert place_of(Asked(device="cpu")).words == "cpu · float32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert place_of(Asked()).words == "cuda · float32"


def test_a_place_is_for_hugging_face_models_only(tmp_path):
    for asked in (Asked(device="cuda"), Asked(dtype="bfloat16")):
        with pytest.raises(CallError, match="feedback runs as it is; --device and --dtype are for Hugging Face models"):
            open_fused(SAMPLES / "bundles" / "feedback", asked=asked)


def test_what_was_made_in_half_precision_is_not_taken_for_what_was_made_in_float32(opened, folders):
    keys = {encoder_key(opened("clip", asked).stack.encoders["image"]) for asked in (LABELS, HALF)}
    assert len(keys) == 2
    marks = {mark_model(folders("clip"), Asked(("a", "b"), dtype=d)) for d in ("", "float32", "bfloat16", "float16")}
    assert len(marks) == 3


def test_doctor_says_where_the_model_is(folders):
    said = {line["name"]: line for line in capabilities(load_foreign(folders("clip"), HALF))}
    line = said["device: clip"]
    assert line["supported"]
    assert line["reason"] == (
        "cpu · bfloat16 · 28 kB of weights; torch cannot tell this device's free memory; "
        "how far its answers are from those in float32 was not measured"
    )
    here = {line["name"]: line for line in capabilities(None)}
    assert here["device: cpu"] == {
        "kind": "capability", "name": "device: cpu", "supported": True, "reason": "torch sees it",
    }  # fmt: skip
    for name in ("device: cuda", "device: mps"):
        assert here[name]["reason"].endswith("Fusion Lens was tested on the CPU only")


class InTurn:
    """A pool that does the work at once, where it is asked for."""

    def __init__(self, *about):
        self.shutdown = lambda **how: None

    def submit(self, run, *given):
        done = Future()
        done.set_result(run(*given))
        return done


@every
def test_no_tensor_is_made_off_the_device(folders, records, monkeypatch, name):
    """On a stand-in for a device: see `elsewhere`. CUDA and MPS themselves were not run."""
    some, question = records(name)[:3], Question(seam="input", method="input_x_gradient")
    monkeypatch.setattr("fusion_core.foreign.donors.pass_seconds", lambda head, tokens: 9.0)  # the fewest donors
    plain = load_foreign(folders(name), LABELS, lambda: some)
    monkeypatch.setattr("fusion_core.encoding.ThreadPoolExecutor", InTurn)  # the stand-in is known to this thread only
    monkeypatch.setattr("fusion_core.foreign.load.place_of", lambda asked: Place(ELSEWHERE, torch.float32))
    with another_device():
        model = load_foreign(folders(name), LABELS, lambda: some)
        head = model.head(name)
        assert {p.device for p in head.parameters()} == {ELSEWHERE}
        _, tokens = model.encode_record(some[0])
        for m, own in tokens.items():
            assert torch.allclose(own.values, plain.encode_record(some[0])[1][m].values, atol=2e-5)
        for left in ((), *((m,) for m in model.modalities), model.modalities):
            given = absent(tokens, *left)
            found = model.fuse(given, name)
            assert found.device.type == "cpu"
            assert torch.allclose(found, plain.fuse(given, name), atol=2e-5)
        (trace,), (wanted,) = (trace_record(m, some[0], m.strategies, question) for m in (model, plain))
        assert np.allclose(trace.prediction.probabilities, wanted.prediction.probabilities)
        assert len(trace.attention) == len(wanted.attention)
        for mine, theirs in zip(trace.attributions, wanted.attributions, strict=True):
            for m, scores in mine.scores.items():
                assert np.abs(scores - theirs.scores[m]).max() <= 1e-3 * np.abs(theirs.scores[m]).max()


def test_the_case_file_says_where_the_model_ran(opened, records):
    model, record = opened("clip", HALF), records("clip")[0]
    case = gather(model, record, model.strategies, Question(), datetime(2026, 1, 1, tzinfo=UTC))
    assert ("runs on", "cpu · bfloat16 · 28 kB") in case.versions
