"""A bundle on a foreign model's encoders: its strategies read states, and the model itself is one more of them."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch

from fusion_core.asked import MATCH, Asked
from fusion_core.bundle import load
from fusion_core.cli import main
from fusion_core.compare.plan import Settings
from fusion_core.compare.run import Comparing
from fusion_core.doctor import capabilities
from fusion_core.encoders import EncoderRoots, EncoderSource
from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError, ModelError
from fusion_core.fit_plan import FitPlan
from fusion_core.fitting import run_fit
from fusion_core.foreign import ModelStack, load_foreign, stack_of
from fusion_core.fusion import HeadSettings, strategy
from fusion_core.question import Question
from fusion_core.reading.records import read
from fusion_core.tokens import encode_records
from fusion_core.trace import trace_record
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.conftest import MATCH as MATCHED
from tests.fusion_core.foreign.painted import painted
from tests.fusion_core.foreign.tiny import FAMILIES


@pytest.fixture(scope="module")
def painting(tmp_path_factory):
    return painted(tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="module")
def fitted(folders, painting, tmp_path_factory):
    """Two strategies on a tiny CLIP's encoders, saved and loaded, with what the fit said."""
    out = tmp_path_factory.mktemp("swap") / "bundle"
    plan = FitPlan("swap", read(painting), strategies=("late", "early_raw", "film"), model=folders("clip"))
    outcome = run_fit(plan, out)
    return outcome, load(out, EncoderRoots((folders("clip").parent,))), out


def test_the_original_answers_as_the_model_does_when_it_is_opened_by_itself(fitted, folders, painting):
    _, model, _ = fitted
    alone = load_foreign(folders("clip"), Asked(labels=model.classes))
    records = read(painting).records[:5]
    with torch.no_grad():
        beside = model.fuse(model.encode(model.prepare(records)), "clip")
        own = alone.fuse(alone.encode(alone.prepare(records)), "clip")
    torch.testing.assert_close(beside, own, atol=2e-4, rtol=0)


def test_strategies_learn_what_the_original_does_not_know_and_both_are_measured_on_the_same_records(fitted):
    outcome, model, _ = fitted
    assert model.strategies == ("clip", "late", "early_raw", "film")
    assert outcome.notes[0].startswith("no reference statistics")
    original, late = model.fitted["clip"], model.fitted["late"]
    assert late.status == "trained"
    assert late.interval[0] > late.chance
    assert original.status == "as loaded"
    assert original.validation_records == late.validation_records
    assert original.interval[0] <= original.chance < original.interval[1]
    assert (model.original, model.default_strategy != "clip") == ("clip", True)


def test_a_saved_bundle_comes_back_as_it_was(fitted):
    outcome, model, out = fitted
    assert model.fitted == outcome.model.fitted
    assert model.stack.specs == outcome.model.stack.specs
    assert not (out / "strategies" / "clip.safetensors").exists()
    assert "as it was loaded" in (out / "README.md").read_text()
    assert set(model.facts.strategies) == set(model.strategies)


def test_tokens_carry_states_and_what_the_original_reads(fitted, painting):
    _, model, _ = fitted
    tokens = model.encode(model.prepare(read(painting).records[:3]))
    alone = model.head("clip")
    for m, own in tokens.items():
        bare = model.stack.encoders[m].own.encode(model.prepare(read(painting).records[:3]).modalities[m])
        torch.testing.assert_close(own.raw, bare.values)
        torch.testing.assert_close(own.values, alone.states(m, bare).values)
        assert not torch.equal(own.values, own.raw)


@pytest.mark.parametrize("name", ["clip", "late", "early_raw", "film"])
@pytest.mark.parametrize("modality", ["text", "image"])
def test_an_absent_modality_is_inert(fitted, painting, name, modality):
    _, model, _ = fitted
    tokens = model.encode(model.prepare(read(painting).records[:2]))
    gone = torch.zeros_like(tokens[modality].mask)
    with torch.no_grad():
        plain = model.fuse({**tokens, modality: tokens[modality].each(lambda v: v, gone)}, name)
        wild = model.fuse({**tokens, modality: tokens[modality].each(lambda v: v * torch.nan, gone)}, name)
    assert torch.equal(plain, wild)
    assert bool(torch.isfinite(plain).all())


def test_a_record_is_traced_under_the_original_and_the_fitted_with_the_same_donors(fitted, painting):
    _, model, _ = fitted
    record = read(painting).records[0]
    traces = [trace_record(model, record, (name,), Question(seam=seam))[0] for name, seam in
              (("clip", "fusion"), ("clip", "input"), ("late", "input"))]  # fmt: skip
    assert {trace.ledger.donors for trace in traces} == {32}
    assert [trace.status for trace in traces] == ["as loaded", "as loaded", "trained"]
    for trace in traces:
        assert {m: len(axis.labels) for m, axis in trace.axes.items()} == {
            m: len(scores) for found in trace.attributions for m, scores in found.scores.items()
        }


def test_cached_tokens_give_the_original_nearly_its_own_logits(fitted, painting, tmp_path):
    _, model, _ = fitted
    records = read(painting).records[:20]
    for _ in range(2):
        tokens, refused = encode_records(model.stack, records, cache=tmp_path / "cache")
        assert not refused
        with torch.no_grad():
            cached = model.fuse(tokens.batch(torch.arange(20)), "clip")
            own = model.fuse(model.encode(model.prepare(records)), "clip")
        assert float((cached - own).abs().max()) < 0.02


@pytest.mark.parametrize("asked", [LABELS, MATCHED], ids=["labels", "match"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_answers_from_its_raw_tokens_or_says_that_it_gives_no_encoders(
    folders, opened, records, name, asked
):
    try:
        stack = ModelStack.whole(folders(name, asked.task or "labels"), asked)
    except CallError as error:
        said = str(error)
        assert re.search("one modality at a time|has no states", said)
        return
    alone, some = opened(name, asked), records(name)[:3]
    head = stack.origin.head.eval()
    if hasattr(head.own, "bias"):
        head.own.bias = alone.head(name).bias
    with torch.no_grad():
        found = head(stack.encode(stack.prepare(some))).logits
        torch.testing.assert_close(found, alone.fuse(alone.encode(alone.prepare(some)), name), atol=2e-4, rtol=0)
    assert stack.origin.cannot == ""
    assert all(spec.raw == alone.stack.specs[m].width for m, spec in stack.specs.items())


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_model_that_changed_since_the_fit_is_refused(fitted, folders, tmp_path, name):
    _, _, out = fitted
    copy = tmp_path / folders("clip").name
    shutil.copytree(folders("clip"), copy)
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-4] + b"\0\0\1\0" if name != "tokenizer.json" else data + b" ")
    with pytest.raises(ModelError, match="this is not the model that the strategies were fitted on"):
        load(out, EncoderRoots((tmp_path,)))


def test_a_model_that_is_not_found_is_said_with_the_flag_that_finds_it(fitted, folders, painting, capsys):
    _, _, out = fitted
    with pytest.raises(ModelError, match=rf"model folder '{folders('clip').name}' .* --encoder-root"):
        load(out)
    found = ["--encoder-root", str(folders("clip").parent)]
    assert main(["predict", "--model", str(out), "--records", str(painting), "--strategy", "clip", *found]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 120


@pytest.mark.parametrize(
    "change",
    [
        {"family": "siglip"},
        {"labels": ["red", "green"]},
        {"labels": "red"},
        {"task": "other"},
        {"bias": "1"},
        {"original": {}},
        {"more": 1},
        None,
    ],
)
def test_an_entry_of_another_shape_is_refused(fitted, folders, tmp_path, change):
    _, _, out = fitted
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    content = json.loads((copy / "model.json").read_text())
    content["foreign"] = None if change is None else content["foreign"] | change
    (copy / "model.json").write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    with pytest.raises((ModelError, CallError)):
        load(copy, EncoderRoots((folders("clip").parent,)))


def test_compare_sets_every_strategy_against_the_original(fitted, painting):
    _, model, _ = fitted
    *_, found = Comparing(model, read(painting).rows[:60], Settings(faults="image.blank", severities=(3,)))
    assert found.baseline == "clip"
    assert found.of("late").against.difference.low > 0
    assert found.of("clip").status == "as loaded"
    assert found.verdict.strategy != "clip"
    assert "surely more accurate" in found.verdict.message
    assert "CLIP, the original as loaded" in found.verdict.message


def test_doctor_tells_the_original_from_the_fitted(fitted):
    _, model, _ = fitted
    lines = {line["name"]: line for line in capabilities(model)}
    assert lines["strategy: clip"]["reason"].endswith("the original as loaded")
    assert "original" not in lines["strategy: late"]["reason"]
    assert {name for name in lines if name.startswith("parity")} == {"parity: clip"}
    assert all(line["supported"] for name, line in lines.items() if name.startswith(("absent", "modality: i")))


def test_a_match_is_fitted_with_the_threshold_of_training_pairs_that_belong_together(folders, tmp_path):
    records = read(painted(tmp_path / "pairs", match=True))
    outcome = run_fit(FitPlan("m", records, strategies=("late",), model=folders("clip")), tmp_path / "m")
    assert outcome.model.classes == MATCH
    assert outcome.model.original == "clip"
    again = load(tmp_path / "m", EncoderRoots((folders("clip").parent,)))
    tokens = again.encode(again.prepare(records.records[:6]))
    with torch.no_grad():
        torch.testing.assert_close(again.fuse(tokens, "clip"), outcome.model.fuse(tokens, "clip"), atol=0, rtol=0)
    assert (
        float(again.head("clip").own.bias) == json.loads((tmp_path / "m" / "model.json").read_text())["foreign"]["bias"]
    )


def test_an_encoder_file_may_name_a_model_beside_other_encoders_and_then_there_is_no_original(folders, painting):
    clip = folders("clip")
    sources = {"text": EncoderSource("model", clip.name)}
    stack = stack_of(sources, EncoderRoots((clip.parent,)), wanted=LABELS)
    assert isinstance(stack, ModelStack)
    assert "it reads text and image, and the strategies text" in stack.origin.cannot
    with pytest.raises(CallError, match=r"does not read audio; it reads text and image"):
        _ = stack_of({"audio": sources["text"]}, EncoderRoots((clip.parent,)), wanted=LABELS).encoders
    assert type(stack_of({"text": EncoderSource("directory", "x")})) is EncoderStack


def test_the_command_line_fits_compares_and_says_what_it_did(folders, painting, tmp_path, capsys):
    out = tmp_path / "b"
    fit = ["fit", "--records", str(painting), "--out", str(out), "--strategies", "late", "--no-cache"]
    assert main([*fit, "--encoders-of", str(folders("clip"))]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["strategies"]["clip"]["status"] == "as loaded"
    sources = tmp_path / "e.json"
    sources.write_text(json.dumps({m: {"source": "model", "name": folders("clip").name} for m in ("text", "image")}))
    root = ["--encoder-root", str(folders("clip").parent)]
    assert main([*fit[:4], str(tmp_path / "c"), *fit[5:], "--encoders", str(sources), *root]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    for entry in (*line["strategies"].values(), *again["strategies"].values()):
        entry.pop("seconds")
    assert line["strategies"] == again["strategies"]
    assert main([*fit, "--encoders-of", str(folders("clip")), "--encoders", str(sources)]) == 2
    assert "either --encoders or --encoders-of" in capsys.readouterr().err


def test_a_foreign_model_teaches_what_it_answers_to_the_records(folders, painting, tmp_path, capsys):
    fit = ["fit", "--records", str(painting), "--strategies", "late", "--no-cache", "--distil"]
    teacher = ["--teacher", str(folders("clip")), "--encoders-of", str(folders("clip"))]
    assert main([*fit, "--out", str(tmp_path / "b"), *teacher, "--teacher-labels", "a cat,a dog"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["strategies"]["clip"]["agreement"] == 1.0
    assert line["strategies"]["late"]["agreement"] > 0
    assert line["teacher"].endswith("clip")
    assert load(tmp_path / "b", EncoderRoots((folders("clip").parent,))).default_strategy == "late"
    assert main([*fit[:-1], "--out", str(tmp_path / "b"), "--teacher-labels", "a,b"]) == 2


def test_every_strategy_can_read_such_tokens(fitted, painting):
    _, model, _ = fitted
    tokens = model.encode(model.prepare(read(painting).records[:2]))
    for head in (kind(model.stack.specs, 2, HeadSettings()) for kind in map(strategy.__getitem__, strategy)):
        assert type(head).reads(model.stack.specs)
        assert head(tokens).logits.shape == (2, 2)
