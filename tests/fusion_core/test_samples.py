"""The shipped bundles on the shipped test sets: the figures of the README, the sums, and the saved answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.answer_table import answer_table, load_answers
from fusion_core.answers import answer_rows
from fusion_core.bundle import load
from fusion_core.contribute.ledger import measure
from fusion_core.question import Question
from fusion_core.reading.records import read
from fusion_core.tokens import encode_records
from fusion_core.trace import trace_record
from tests.bench.accuracy import correct
from tests.conftest import ROOT, SAMPLES


class Sample:
    """A shipped bundle with its test records as tokens."""

    def __init__(self, name):
        self.folder, self.test = SAMPLES / "bundles" / name, SAMPLES / name / "test"
        self.model = load(self.folder)
        self.rows = read(self.test).rows
        self.tokens, self.refused = encode_records(self.model.stack, self.rows)


@pytest.fixture(scope="module")
def feedback():
    return Sample("feedback")


@pytest.fixture(scope="module")
def scene_qa():
    return Sample("scene_qa")


def by_type(sample, strategy):
    right = correct(sample.model, strategy, sample.tokens)
    kinds = np.array([r.meta["question_type"] for r in sample.rows])
    return {"all": right.mean(), **{k: right[kinds == k].mean() for k in ("colour", "existence", "relation")}}


def test_at_least_300_records_of_each_set_are_shipped_and_readable(feedback, scene_qa):
    for sample in (feedback, scene_qa):
        assert len(sample.tokens) >= 300
        assert sample.refused == []


def test_relations_between_modalities_are_learned_and_late_fusion_cannot(scene_qa):
    best = max((by_type(scene_qa, s) for s in ("early", "cross_attention")), key=lambda a: a["all"])
    late = by_type(scene_qa, "late")
    assert best["colour"] >= 0.95
    assert best["existence"] >= 0.93
    assert best["relation"] >= 0.85
    assert best["all"] - late["all"] >= 0.30
    assert best["colour"] - late["colour"] >= 0.30
    assert best["existence"] - late["existence"] >= 0.20
    assert best["relation"] - late["relation"] >= 0.20


def test_independent_witnesses_are_served_by_late_fusion(feedback):
    accuracy = {s: correct(feedback.model, s, feedback.tokens).mean() for s in feedback.model.strategies}
    alone = [correct(feedback.model, "late", feedback.tokens.only(m)).mean() for m in feedback.model.modalities]
    assert accuracy["late"] >= max(accuracy.values()) - 0.04
    assert accuracy["late"] >= max(alone) + 0.05


@pytest.mark.parametrize("name", ["feedback", "scene_qa"])
def test_every_shipped_head_is_trained_above_chance(name):
    model = load(SAMPLES / "bundles" / name)
    assert all(f.status == "trained" and f.interval[0] > f.chance for f in model.fitted.values())
    assert all(f.parameters <= 1_000_000 for f in model.fitted.values())


@pytest.mark.parametrize("name", ["feedback", "scene_qa"])
def test_ledgers_add_up_on_fifty_records(name, request):
    """Two strategies on each, in turn: with five records every strategy is asked."""
    sample = request.getfixturevalue(name)
    for row in range(50):
        tokens = sample.tokens.batch(torch.tensor([row]))
        for strategy in sample.model.strategies[row % 5 :: 5]:
            table = measure(sample.model, tokens, strategy)
            for target in sample.model.classes:
                ledger = table.ledger(target)
                assert ledger.residual <= 1e-4 * max(1.0, abs(ledger.full - ledger.base))


@pytest.mark.parametrize("name", ["feedback", "scene_qa"])
def test_saved_answers_are_what_the_model_answers(name, request):
    sample = request.getfixturevalue(name)
    saved = load_answers(sample.folder, sample.test)
    assert saved is not None, "the answers were made by another model: run python -m sample_data.make --keep-records"
    fresh = answer_table(answer_rows(sample.model, sample.rows[:40], sample.model.strategies))
    first = saved.iloc[: len(fresh)]
    assert first["id"].tolist() == fresh["id"].tolist()
    assert first["strategy"].tolist() == fresh["strategy"].tolist()
    assert first["confidence"].to_numpy() == pytest.approx(fresh["confidence"].to_numpy(), abs=1e-3)
    assert len(saved) == len(sample.rows) * len(sample.model.strategies)


@pytest.mark.parametrize("name", ["feedback", "scene_qa"])
def test_gradients_at_the_fusion_seam_add_up(name, request):
    sample = request.getfixturevalue(name)
    for row in sample.rows[:3]:
        for trace in trace_record(sample.model, row, sample.model.strategies):
            checks = {c.name: c for c in trace.checks}
            assert checks["efficiency"].passed
            assert checks["completeness_fusion"].value <= 0.05


def test_the_input_seam_covers_every_modality_and_adds_up_where_it_promises_to(feedback):
    (trace,) = trace_record(feedback.model, feedback.rows[0], ["late"], Question(seam="input"))
    methods = {m: a.method for a in trace.attributions for m in a.scores}
    assert methods == {"text": "integrated_gradients", "image": "occlusion", "audio": "integrated_gradients"}
    for found in trace.attributions:
        for m, scores in found.scores.items():
            assert scores.shape == (len(trace.axes[m].labels),)
    assert next(c for c in trace.checks if c.name == "completeness_input").value <= 0.05


def test_the_same_record_gives_the_same_trace(feedback):
    first, second = (trace_record(feedback.model, feedback.rows[1], ["cross_attention"])[0] for _ in range(2))
    assert first.ledger == second.ledger
    assert (first.prediction.probabilities == second.prediction.probabilities).all()
    for a, b in zip(first.attributions, second.attributions, strict=True):
        assert all((a.scores[m] == b.scores[m]).all() for m in a.scores)


def test_the_worked_failure_of_the_readme_is_what_the_tool_says(scene_qa, feedback):
    text = (ROOT / "README.md").read_text("utf-8").split("## One failure", 1)[1].split("\n## ", 1)[0]
    late, cross = (correct(scene_qa.model, s, scene_qa.tokens) for s in ("late", "cross_attention"))
    assert f"{int((1 - late).sum())} of {len(late)} wrong" in text
    assert f"right on {int(((1 - late) * cross).sum())} that late gets wrong" in text
    assert f"wrong on {int((late * (1 - cross)).sum())} that late gets right" in text
    record = next(r for r in scene_qa.rows if r.id == "sq-test-0556")
    question = Question(method=None, target="purple")
    for trace in trace_record(scene_qa.model, record, ["late", "cross_attention"], question):
        for m, value in trace.ledger.contributions.items():
            spread = 2 * trace.ledger.standard_errors[m]
            printed = f"{m} {value:+.2f} ± {spread:.2f}".replace("-", "−")
            assert printed in " ".join(text.split()), printed
    record = next(r for r in feedback.rows if r.id == "fb-test-0238")
    (trace,) = trace_record(feedback.model, record, ["late"], Question(method=None))
    assert f"+{trace.ledger.contributions['image']:.2f} ± {2 * trace.ledger.standard_errors['image']:.2f}" in text
    assert trace.ledger.without["image"].top == record.label == "neutral"


def test_a_record_without_audio_has_no_map_score_or_contribution_for_it(feedback):
    row = feedback.rows[0]
    silent = type(row)(id="no-audio", text=row.text, image=row.image, label=row.label)
    for trace in trace_record(feedback.model, silent, feedback.model.strategies):
        assert "audio" not in trace.axes
        assert all("audio" not in (a.query, a.key) for a in trace.attention)
        assert all("audio" not in a.scores for a in trace.attributions)
        assert trace.ledger.contributions["audio"] == 0.0
        assert trace.ledger.standard_errors["audio"] is None
