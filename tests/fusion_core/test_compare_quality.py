"""Quality, calibration and significance: against formulas worked by hand and libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from fusion_core.compare.quality import answered, calibration_error, fitted_temperature, quality
from fusion_core.compare.resampling import resampled_means
from fusion_core.compare.significance import against, corrected, gain, mcnemar
from fusion_core.intervals import paired_difference
from fusion_core.reliability import equal_mass

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(3, size=200)
LOGITS = RNG.normal(size=(200, 3)) + 1.5 * np.eye(3)[TRUTH]


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_quality_is_what_sklearn_says_and_lies_in_its_interval():
    found = quality(LOGITS, TRUTH)
    said = LOGITS.argmax(1)
    assert found.accuracy.value == pytest.approx(accuracy_score(TRUTH, said))
    assert found.macro_f1.value == pytest.approx(f1_score(TRUTH, said, average="macro"))
    assert found.nll.value == pytest.approx(log_loss(TRUTH, softmax(LOGITS)))
    assert found.records == 200
    for figure in (found.accuracy, found.macro_f1, found.nll, found.calibration.error, found.calibration.scaled):
        assert figure.low <= figure.value <= figure.high
    p = found.accuracy.value
    half = 1.96 * np.sqrt(p * (1 - p) / 200)
    assert found.accuracy.high - found.accuracy.low == pytest.approx(2 * half, rel=0.15)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    assert quality(LOGITS, TRUTH, 3) == quality(LOGITS, TRUTH, 3)
    assert quality(LOGITS, TRUTH, 3).nll != quality(LOGITS, TRUTH, 4).nll


def test_resamples_of_two_tables_are_the_same_records():
    x = RNG.normal(size=(50, 1))
    both = resampled_means(np.hstack([x, 2 * x]), 7)
    assert np.allclose(both[:, 1], 2 * resampled_means(x, 7)[:, 0])


def test_bins_hold_equally_many_records_and_together_all():
    found = quality(LOGITS, TRUTH).calibration.bins
    assert len(found) == 15
    assert {b.records for b in found} <= {13, 14}
    assert sum(b.records for b in found) == 200
    assert all(b.low <= b.accuracy <= b.high for b in found)
    assert [b.confidence for b in found] == sorted(b.confidence for b in found)
    assert len(equal_mass(np.array([0.5, 0.9]))) == 2


def test_a_temperature_mends_confidence_that_is_three_times_too_sure():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3_000, 3))
    truth = (rng.random((3_000, 1)) > softmax(logits).cumsum(1)[:, :2]).sum(1)  # drawn as the logits say
    assert fitted_temperature(logits, truth) == pytest.approx(1.0, abs=0.1)
    assert fitted_temperature(3 * logits, truth) == pytest.approx(3 * fitted_temperature(logits, truth), rel=0.02)
    found = quality(3 * logits, truth).calibration
    assert found.scaled.value < 0.05 < found.unscaled.low


def test_confidence_that_is_always_one_errs_by_the_share_of_wrong_answers():
    certain = 1e3 * np.eye(3)[LOGITS.argmax(1)]
    wrong = (LOGITS.argmax(1) != TRUTH).mean()
    assert calibration_error(certain, TRUTH).value == pytest.approx(wrong)


def test_an_answer_that_is_not_finite_counts_as_wrong_and_as_no_class():
    broken = LOGITS.copy()
    broken[:50, 0] = np.nan
    assert set(answered(broken)[:50]) == {-1}
    found = quality(broken, TRUTH)
    assert found.accuracy.value == pytest.approx((LOGITS.argmax(1) == TRUTH)[50:].sum() / 200)
    assert np.isfinite(found.nll.value)
    assert quality(np.full_like(LOGITS, np.inf), TRUTH) is None


@pytest.mark.parametrize(("fixes", "breaks"), [(10, 2), (2, 10), (5, 5), (0, 0), (1, 0), (41, 6)])
def test_mcnemar_is_the_exact_binomial_test(fixes, breaks):
    expected = binomtest(fixes, fixes + breaks).pvalue if fixes + breaks else 1.0
    assert mcnemar(fixes, breaks) == pytest.approx(expected)


def test_against_counts_what_changes():
    base = np.array([1, 1, 0, 0, 0, 1], bool)
    other = np.array([1, 0, 1, 1, 0, 1], bool)
    found = against(other, base, "late")
    assert (found.fixes, found.breaks, found.failures) == (2, 1, 3)
    assert found.difference.value == pytest.approx(1 / 6)
    assert found.p == 1.0


def test_a_gain_is_never_sure_of_what_few_records_say():
    all_right = np.ones(6, bool)
    found = gain(all_right, all_right)
    assert (found.value, found.low) == (0.0, pytest.approx(-found.high))
    assert found.high == pytest.approx(1.96 / 8, abs=1e-3)
    assert gain(np.ones(300, bool), np.ones(300, bool)).high < 0.01
    a, b = RNG.random(2_000) < 0.8, RNG.random(2_000) < 0.7
    mean, (low, high) = paired_difference(a, b)
    assert (gain(a, b).value, gain(a, b).low, gain(a, b).high) == pytest.approx((mean, low, high), abs=2e-3)


def test_holm_corrects_each_test_for_all():
    assert corrected([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert corrected([0.9, 0.8]) == [1.0, 1.0]
    assert corrected([]) == []
