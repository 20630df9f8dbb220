"""A team's own model: seven names, checked with words that say what to change, then explained like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_core.asked import Asked
from fusion_core.cli import main
from fusion_core.contribute.ledger import measure
from fusion_core.errors import CallError, RecordError
from fusion_core.opening import open_fused
from fusion_core.own.conform import conform
from fusion_core.own.load import load_object, made
from fusion_core.probe import PROBE
from fusion_core.question import Question
from fusion_core.reading.records import read
from fusion_core.trace import trace_record
from tests.conftest import SAMPLES, absent
from tests.fusion_core import own_example
from tests.fusion_core.own_example import Wrapped

NAMED = "tests.fusion_core.own_example:make"
RECORDS = SAMPLES / "scene_qa" / "test"


@pytest.fixture(scope="module")
def records():
    return read(RECORDS).records[:16]


@pytest.fixture(scope="module")
def model(records):
    return load_object(NAMED, lambda: records)


def test_the_example_is_about_forty_lines_of_code():
    lines = [line for line in Path(own_example.__file__).read_text().splitlines() if line.strip()]
    assert len(lines) <= 48


def test_it_answers_as_the_module_itself_does(model, records):
    own = Wrapped()
    record = records[0]
    with torch.no_grad():
        found = model.fuse(model.encode(model.prepare([record])), "concat_pooled")
        text, _ = own.prepare("text", record.text)
        pixels, _ = own.prepare("image", model.stack.encoders["image"] and _pixels(record))
        wanted = own.fuse({"text": own.encode("text", text[None]), "image": own.encode("image", pixels[None])}, "x")
    assert torch.allclose(found, wanted, atol=1e-5)


def _pixels(record):
    from fusion_core.encoders.stack import decode

    return decode(record, "image")[0].pixels


def test_texts_of_several_lengths_in_one_batch_are_answered_as_alone(model, records):
    with torch.no_grad():
        together = model.fuse(model.encode(model.prepare(records)), "concat_pooled")
        alone = torch.cat([model.fuse(model.encode(model.prepare([r])), "concat_pooled") for r in records])
    assert torch.allclose(together, alone, atol=1e-5)


def test_an_absent_modality_is_inert_to_the_bit(model, records):
    with torch.no_grad():
        tokens = model.encode(model.prepare(records[:3]))
        for m in model.modalities:
            gone = absent(tokens, m)
            noisy = {**gone, m: gone[m].each(lambda v: torch.full_like(v, torch.nan))}
            assert torch.equal(model.fuse(gone, "concat_pooled"), model.fuse(noisy, "concat_pooled"))
            assert torch.isfinite(model.fuse(gone, "concat_pooled")).all()


@pytest.mark.parametrize("seam", ["fusion", "input"])
def test_it_is_traced_with_ledger_and_complete_attributions(model, records, seam):
    question = Question(method="integrated_gradients", seam=seam, judge=True, randomise=True)
    (trace,) = trace_record(model, records[0], model.strategies, question)
    assert trace.status == "as loaded"
    assert not trace.attention
    assert trace.ledger.residual <= 1e-4 * max(1.0, abs(trace.ledger.full - trace.ledger.base))
    assert {m for a in trace.attributions for m in a.scores} == {"text", "image"}
    assert all(a.error is None or a.error < 0.05 for a in trace.attributions)
    assert all(np.isfinite(s).all() for a in trace.attributions for s in a.scores.values())


@pytest.mark.parametrize("policy", ["marginal", "missing", "mean", "zero"])
def test_every_removal_policy_works(model, records, policy):
    with torch.no_grad():
        tokens = model.encode(model.prepare(records[:1]))
    account = measure(model, tokens, "concat_pooled", policy).ledger("red")
    assert account.residual <= 1e-4 * max(1.0, abs(account.full - account.base))


def without(name):
    return type("Broken", (), {n: getattr(Wrapped, n) for n in vars(Wrapped) if n != name})


class Broken(Wrapped):
    """Changed one at a time by the tests."""


CHANGES = {
    "no-name": ({"classes": ("one",)}, "at least two distinct"),
    "modality": ({"modalities": ("img",)}, "some of text, image, audio"),
    "strategies": ({"strategies": ()}, "at least one way"),
    "prepare-raises": ({"prepare": lambda s, m, r: 1 / 0}, "ZeroDivisionError"),
    "prepare-shape": ({"prepare": lambda s, m, r: torch.ones(2, 16)}, "return (values, spans)"),
    "prepare-ids": ({"prepare": lambda s, m, r: (torch.ones(2, dtype=torch.long), [(0, 1)])}, "give floats"),
    "spans": ({"prepare": lambda s, m, r: (Wrapped.prepare(s, m, r)[0], 7)}, "spans 7; wanted"),
    "span-count": ({"prepare": lambda s, m, r: (Wrapped.prepare(s, m, r)[0], [(0, 1)] if m == "text" else (4, 4))},
                   "one span per token"),
    "encode-shape": ({"encode": lambda s, m, v: Wrapped.encode(s, m, v)[0]}, "wanted [1, tokens, width]"),
    "fuse-shape": ({"fuse": lambda s, t, n: Wrapped.fuse(s, t, n)[:, :2]}, "one per class"),
    "fuse-nan": ({"fuse": lambda s, t, n: Wrapped.fuse(s, t, n) * torch.nan}, "NaN or infinity"),
    "mixes-rows": ({"fuse": lambda s, t, n: Wrapped.fuse(s, t, n) + len(next(iter(t.values())))}, "mix no rows"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_hold_is_said_with_what_to_change(change):
    entries, words = CHANGES[change]
    found = conform(type("Broken", (Wrapped,), entries)(), PROBE)
    assert any(words in point.words for point in found.broken), [p.words for p in found.points]


def test_missing_names_are_listed():
    found = conform(object(), PROBE)
    assert "name, classes, modalities, strategies, prepare, encode, fuse" in found.broken[0].words


def test_a_closed_gradient_and_a_needed_modality_are_said_and_do_not_stop_it(monkeypatch, records):
    def fuse(self, tokens, strategy):
        return Wrapped.fuse(self, {m: tokens[m] for m in ("text", "image")}, strategy)

    needy = type("Needy", (Wrapped,), {"fuse": fuse})
    found = conform(needy(), PROBE)
    assert not found.broken
    assert found.needs == ("text", "image")
    monkeypatch.setattr(own_example, "make", needy)
    model = load_object(NAMED, lambda: records)
    with pytest.raises(RecordError, match="cannot answer without image") as refused:
        model.prepare([type(records[0])("only text", text="red")])
    assert refused.value.code == "modality_missing"
    shut = type("Shut", (Wrapped,), {"encode": lambda s, m, v: Wrapped.encode(s, m, v).detach()})
    assert any("no gradient passes encode" in p.words for p in conform(shut(), PROBE).points)


@pytest.mark.parametrize("named", ["os", "a b:c", "tests.fusion_core.own_example", "no.such.module:make", f"{NAMED}x"])
def test_a_name_that_leads_nowhere_is_one_clear_line(named, capsys):
    with pytest.raises(CallError):
        made(named)
    assert main(["doctor", "--model-object", named]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_command_line_announces_and_runs_it(capsys):
    assert main(["doctor", "--model-object", NAMED, "--records", str(RECORDS)]) == 0
    said = capsys.readouterr()
    assert said.err.count(f"running your own code: {NAMED}") == 1
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert {"modality: text", "fuse: concat_pooled", "absent: image", "ledger: marginal"} <= {n["name"] for n in lines}
    assert main(["trace", "--model-object", NAMED, "--records", str(RECORDS), "--id", "sq-test-0001"]) == 0
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["prediction"]["status"] == "ok"


def test_it_is_never_both_a_folder_and_an_object(capsys, tmp_path):
    assert main(["doctor", "--model-object", NAMED, "--model", str(tmp_path)]) == 2
    with pytest.raises(CallError):
        open_fused(tmp_path / "x", None, Asked(object="nowhere:make"))
