"""A fit: what it refuses, what it tells on the way, what a stop keeps, and what the bundle says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from fusion_core import fit_course
from fusion_core.bundle import load, save
from fusion_core.diagnose.reference_file import load_reference
from fusion_core.errors import CallError, ModelError
from fusion_core.fit_data import fingerprint, fit_data, split_by_class
from fusion_core.fit_facts import facts_entry, read_facts
from fusion_core.fit_figures import macro_f1
from fusion_core.fit_plan import FitPlan, Teacher
from fusion_core.fitting import run_fit
from fusion_core.reading.records import RecordSet
from fusion_core.types import Record, Refusal

WORDS = {"good": ("love", "great", "fine", "superb"), "bad": ("broken", "awful", "poor", "refund")}


def reviews(count=60, classes=("good", "bad")):
    rows = []
    for k in range(count):
        label = classes[k % len(classes)]
        text = f"{WORDS[label][k // 2 % 4]} thing number {k}" if label in WORDS else f"{label} {k}"
        rows.append(Record(f"r{k}", text, label=label))
    return RecordSet(tuple(rows))


def plan(records=None, **changes):
    given = reviews() if records is None else records
    return replace(FitPlan("small", given, strategies=("late", "concat")), **changes)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Two strategies on 300 short reviews, with every step that was told."""
    steps = []
    folder = tmp_path_factory.mktemp("fit")
    records = reviews(300)
    outcome = run_fit(plan(records, cache=folder / "cache"), folder / "m", lambda step: steps.append(step) or True)
    return outcome, steps, records


def test_every_fifth_record_of_a_class_validates_and_of_a_small_class_the_last():
    records = [
        Record(f"{label}{k}", "x", label=label)
        for label, count in (("a", 12), ("b", 3), ("c", 1))
        for k in range(count)
    ]
    train, held = split_by_class(records)
    assert [r.id for r in held] == ["a4", "a9", "b2"]
    assert len(train) == 13


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (RecordSet(()), "at least 2 classes"),
        (reviews(60, ("good",)), "at least 2 classes"),
        (reviews(20), "at least 30 labelled records; there are 20"),
        (
            RecordSet((*reviews().rows, Record("odd", "x", label="rare"))),
            r"rare: 1 to learn from, 0 to validate\).*merge it",
        ),
    ],
    ids=["nothing", "one class", "few records", "one of a class"],
)
def test_too_little_is_refused_with_what_to_do(records, sentence):
    with pytest.raises(CallError, match=sentence):
        fit_data(plan(records))


def test_a_validation_set_must_judge_every_class():
    with pytest.raises(CallError, match="bad: 30 to learn from, 0 to validate"):
        fit_data(plan(validation=RecordSet((Record("v", "x", label="good"),))))


def test_corrected_labels_count_and_null_leaves_a_record_out():
    data = fit_data(plan(labels={"r0": "bad", "r1": None}))
    labels = {r.id: r.label for r in (*data.train, *data.validation)}
    assert labels["r0"] == "bad"
    assert "r1" not in labels
    assert not data.refused
    with pytest.raises(CallError, match=r"1 corrected labels .*'nowhere'"):
        fit_data(plan(labels={"nowhere": "bad"}))


def test_every_row_is_used_refused_or_left_out():
    rows = (*reviews().rows, Record("bare", "x"), Refusal("gone", "file_missing", "not there"))
    data = fit_data(plan(RecordSet(rows)))
    assert {r.id: r.code for r in data.refused} == {"bare": "label_missing", "gone": "file_missing"}
    assert len(data.train) + len(data.validation) == 60


def test_steps_tell_records_then_passes_with_a_curve_and_time_left(fitted):
    outcome, steps, _ = fitted
    stages = [step.stage for step in steps]
    assert stages == sorted(stages, key=("encode", "train", "save").index)
    encoded = [step for step in steps if step.stage == "encode"]
    assert (encoded[-1].done, encoded[-1].of) == (300, 300)
    passes = [step for step in steps if step.stage == "train"]
    assert [step.strategy for step in passes if step.done == 1] == ["late", "concat"]
    assert all(step.seconds_left >= 0 for step in passes)
    assert all(len(step.curves[step.strategy]) == step.done for step in passes)
    assert "late" in passes[-1].fitted
    best = max(p.accuracy for p in passes[-1].curves["late"])
    assert outcome.model.fitted["late"].validation_accuracy <= best
    assert not outcome.stopped


def test_the_bundle_says_what_it_was_fitted_on(fitted):
    outcome, _, records = fitted
    facts = load(outcome.out).facts
    assert facts == read_facts(facts_entry(outcome.model.facts), ("bad", "good"), ("late", "concat"))
    assert facts.fingerprint == fingerprint(records.records)
    assert facts.classes == {"bad": (120, 30), "good": (120, 30)}
    assert facts.presence == {"text": (1.0, 1.0)}
    for name, figures in facts.strategies.items():
        for figure in (figures.macro_f1, figures.nll):
            assert figure.low <= figure.value <= figure.high, name
    card = (outcome.out / "README.md").read_text("utf-8")
    for said in (facts.fingerprint, "| bad | 120 | 30 |", "| text | 100.0 % | 100.0 % |", "macro-F1"):
        assert said in card


def test_the_bundle_carries_reference_statistics_of_its_validation_records(fitted):
    outcome, _, _ = fitted
    assert load_reference(outcome.out).records == 60
    assert not outcome.notes


def test_too_few_validation_records_for_a_reference_are_said_and_an_old_one_goes(tmp_path):
    for name in ("reference.json", "reference.safetensors"):
        (tmp_path / name).write_text("of another model")
    outcome = run_fit(plan(strategies=("late",)), tmp_path)
    assert "12 validation records are fewer than 50" in outcome.notes[0]
    assert not list(tmp_path.glob("reference.*"))


def test_the_fingerprint_knows_contents_and_labels_but_no_order():
    records = reviews().records
    same = fingerprint(records)
    assert fingerprint(records[::-1]) == fingerprint([replace(r, id="other") for r in records]) == same
    assert fingerprint(records[1:]) != same
    assert fingerprint([replace(records[0], label="bad"), *records[1:]]) != same
    assert fingerprint([replace(records[0], text="else"), *records[1:]]) != same


def test_a_stop_keeps_the_strategies_that_are_done(tmp_path):
    outcome = run_fit(plan(), tmp_path / "m", lambda step: step.strategy != "concat" or step.done < 2)
    assert outcome.stopped
    assert load(tmp_path / "m").strategies == ("late",)


@pytest.mark.parametrize("when", ["encode", "train"])
def test_a_stop_before_anything_is_done_saves_nothing(tmp_path, when):
    with pytest.raises(CallError, match="stopped before a strategy was trained"):
        run_fit(plan(), tmp_path / "m", lambda step: step.stage != when)
    assert not (tmp_path / "m").exists()


def test_a_budget_leaves_out_what_it_does_not_allow(tmp_path, monkeypatch):
    costs = {"late": 0.001, "concat": 1e6}
    monkeypatch.setattr(fit_course, "trial_seconds", lambda name, *_: costs[name])
    outcome = run_fit(plan(minutes=1.0), tmp_path / "m")
    assert outcome.stopped
    assert outcome.model.strategies == ("late",)
    costs["late"] = 1e6
    with pytest.raises(CallError, match="no strategy was trained within 1 minutes"):
        run_fit(plan(minutes=1.0), tmp_path / "n")


def test_a_second_fit_of_the_same_seed_is_the_same_with_and_without_a_cache(tmp_path, fitted):
    outcome, _, records = fitted
    again = run_fit(plan(records, cache=outcome.out.parent / "cache", strategies=("late",)), tmp_path / "m")
    fresh = run_fit(plan(records, strategies=("late",)), tmp_path / "n")
    first, second, third = ((o.out / "strategies" / "late.safetensors").read_bytes() for o in (outcome, again, fresh))
    assert first == second == third


def test_distilled_heads_agree_with_their_teacher_and_say_so(tmp_path):
    records = reviews(200)
    rows = {r.id: (0.9, 0.1) if r.label == "bad" else (0.2, 0.8) for r in records.records}
    del rows["r7"]
    bare = RecordSet(tuple(replace(r, label=None) for r in records.records))
    teacher = Teacher("ours late", ("bad", "good"), rows)
    outcome = run_fit(plan(bare, teacher=teacher, strategies=("late",)), tmp_path / "m")
    head = outcome.model.fitted["late"]
    assert head.status == "distilled"
    assert head.validation_accuracy > 0.9
    assert [(r.id, r.code) for r in outcome.refused] == [("r7", "label_missing")]
    model = load(tmp_path / "m")
    assert model.facts.teacher == "ours late"
    assert "Distilled" in (tmp_path / "m" / "README.md").read_text()
    with torch.no_grad():
        said = torch.softmax(model.fuse(model.encode(model.prepare([records.records[1]])), "late"), dim=1)
    assert float(said[0, 0]) == pytest.approx(0.9, abs=0.08)  # soft: the teacher's own doubt is learned too


def test_a_teacher_that_always_says_the_same_teaches_nothing():
    rows = {f"r{k}": (0.9, 0.1) for k in range(60)}
    with pytest.raises(CallError, match="same answer"):
        fit_data(plan(teacher=Teacher("dull", ("bad", "good"), rows)))


def test_a_bundle_whose_data_is_damaged_is_refused(tmp_path, fitted):
    model = fitted[0].model
    save(model, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    for key, value in (
        ("fingerprint", "x"),
        ("classes", {"bad": [1, 2]}),
        ("presence", {"text": [2, 0]}),
        ("seed", "y"),
    ):
        damaged = {**content, "data": {**content["data"], key: value}}
        (tmp_path / "model.json").write_text(json.dumps(damaged))
        with pytest.raises(ModelError, match="not of format"):
            load(tmp_path)


def test_macro_f1_by_hand():
    truth, answers = torch.tensor([0, 0, 1, 1, 1]).numpy(), torch.tensor([0, 1, 1, 1, 0]).numpy()
    assert macro_f1(answers, truth, 3) == pytest.approx((0.5 + 2 / 3) / 2)
