"""Curves under faults: the areas of MultiBench's evaluation code, faults without degrees, samples that keep shares."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_core.compare.damage import chosen_kinds, media_kinds, severities_of, stratified
from fusion_core.compare.robustness import curves, effective_robustness, relative_robustness
from fusion_core.errors import CallError
from fusion_core.faults import fault
from fusion_core.faults.inject import inject
from fusion_core.reading.records import read
from tests.conftest import SAMPLES

BOTH = ("text", "image")


def test_relative_robustness_is_the_area_by_trapezoids_on_any_grid():
    assert relative_robustness((0, 1, 2), (1.0, 0.5, 0.0)) == pytest.approx(0.5)
    assert relative_robustness((0, 1, 3, 5), (0.9, 0.9, 0.9, 0.9)) == pytest.approx(0.9)
    # By hand: ((.9 + .7) / 2 * 1 + (.7 + .5) / 2 * 2 + (.5 + .1) / 2 * 2) / 5.
    assert relative_robustness((0, 1, 3, 5), (0.9, 0.7, 0.5, 0.1)) == pytest.approx((0.8 + 1.2 + 0.6) / 5)


def test_effective_robustness_is_how_much_less_a_curve_falls_than_late_fusions():
    assert effective_robustness((0.9, 0.8, 0.7), (0.8, 0.6, 0.4)) == pytest.approx((0.1 + 0.2) / 2)
    assert effective_robustness((0.9, 0.8), (0.5, 0.4)) == pytest.approx(0.0)


def test_curves_are_measured_on_the_records_that_have_every_severity():
    truth = np.array([0, 0, 1, 1])
    sure = np.eye(2)[truth] * 4.0
    clean = np.stack([sure, sure])
    wrong = clean.copy()
    wrong[1] = -wrong[1]  # the second strategy falls, late does not
    there = np.array([True, True, True, False])
    found = curves("text.typos", (1, 3), ("late", "gated"), clean, [(clean, there), (wrong, there)], truth)
    assert [p.value for p in found["late"].accuracy] == [1.0, 1.0, 1.0]
    assert [p.value for p in found["gated"].accuracy] == [1.0, 1.0, 0.0]
    assert found["gated"].severities == (0, 1, 3)
    assert found["gated"].records == 3
    assert found["gated"].effective == pytest.approx(-0.5)
    assert found["late"].effective == 0.0
    assert found["gated"].graded
    assert curves("text.typos", (1,), ("gated",), clean[:1], [(clean[:1], there)], truth)["gated"].effective is None
    assert curves("text.typos", (1,), ("late",), clean[:1], [(clean[:1], there & False)], truth) == {}


def test_a_fault_without_degrees_is_the_same_at_every_severity_and_is_measured_once():
    records = read(SAMPLES / "feedback" / "test").records[:4]
    for kind in media_kinds(("text", "image", "audio")):
        mild, harsh = (inject(records, kind, severity, seed=1) for severity in (1, 5))
        parts = [[getattr(r, fault[kind].modality) for r in done] for done in (mild, harsh)]
        content = [[getattr(part, "sha256", part) for part in row] for row in parts]
        assert (content[0] == content[1]) == (not fault[kind].graded), kind
    assert severities_of("audio.silence", (1, 3, 5)) == (5,)
    assert severities_of("audio.noise", (5, 1, 3, 3)) == (1, 3, 5)


def test_faults_are_chosen_by_name_for_what_the_model_reads():
    assert chosen_kinds(BOTH, "none") == ()
    assert all(fault[k].modality in BOTH for k in chosen_kinds(BOTH, "all"))
    assert chosen_kinds(BOTH, "image.blur, text.typos,image.blur") == ("image.blur", "text.typos")
    wrong = {"audio.noise": "not read audio", "pair.shuffle": "damages no", "x.y": "unknown fault", ",": "no fault"}
    for names, words in wrong.items():
        with pytest.raises(CallError, match=words):
            chosen_kinds(BOTH, names)
    for severities in ((), (0,), (1, 6)):
        with pytest.raises(CallError, match="allowed are 1 to 5"):
            severities_of("image.blur", severities)


def test_a_sample_keeps_every_label_in_its_share():
    labels = ["a"] * 600 + ["b"] * 300 + ["c"] * 100
    rows = stratified(labels, 100, 1)
    assert [sum(labels[k] == name for k in rows) for name in "abc"] == [60, 30, 10]
    assert (np.diff(rows) > 0).all()
    assert (stratified(labels, 100, 1) == rows).all()
    assert (stratified(labels, 100, 2) != rows).any()
    assert len(stratified(labels, 2000, 1)) == 1000
