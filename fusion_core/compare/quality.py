"""How good answers are and whether their confidence can be believed, from logits and labels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from fusion_core.compare.resampling import resampled_means, spread
from fusion_core.compare.result import Bin, Calibration, Measured, Quality
from fusion_core.intervals import wilson
from fusion_core.reliability import equal_mass, expected_error

TEMPERATURES = (0.05, 20.0)
NOBODY = -1  # the class of an answer that is not finite


def answered(logits: np.ndarray) -> np.ndarray:
    """Return the class number each record is answered with, `int [N]`; -1 where a logit is not finite."""
    finite = np.isfinite(logits).all(axis=1)
    return np.where(finite, np.where(finite[:, None], logits, 0.0).argmax(axis=1), NOBODY)


def quality(logits: np.ndarray, truth: np.ndarray, seed: int = 0) -> Quality | None:
    """Judge answers `[N, C]` by labels `int [N]`; None without a finite answer.

    An answer that is not finite counts as wrong, and has no part in nll and calibration. macro_f1: over the classes
    that occur among the labels.
    """
    finite = np.isfinite(logits).all(axis=1)
    if not finite.any():
        return None
    right = (answered(logits) == truth).astype(np.float64)
    return Quality(
        accuracy=share(right, seed),
        macro_f1=_macro_f1(answered(logits), truth, logits.shape[1], seed),
        nll=share(_losses(logits[finite], truth[finite], 1.0), seed),
        calibration=calibration(logits[finite], truth[finite], seed),
        records=len(truth),
    )


def share(values: np.ndarray, seed: int = 0) -> Measured:
    """Return the mean of a value per record `[N]` with its bootstrap interval."""
    return spread(float(values.mean()), resampled_means(values[:, None], seed)[:, 0])


def calibration(logits: np.ndarray, truth: np.ndarray, seed: int = 0) -> Calibration:
    """Return how far confidence is from accuracy, and the temperature that brings it nearest (Guo 2017)."""
    fitting = np.arange(len(truth)) % 2 == 0
    held = ~fitting if (~fitting).any() else fitting
    temperature = fitted_temperature(logits[fitting], truth[fitting])
    return Calibration(
        error=calibration_error(logits, truth, 1.0, seed),
        temperature=temperature,
        scaled=calibration_error(logits[held], truth[held], temperature, seed),
        bins=_bins(*_confidence_and_right(logits, truth, 1.0)),
        unscaled=calibration_error(logits[held], truth[held], 1.0, seed),
    )


def fitted_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, under which the labels are likeliest."""
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda t: _losses(logits, truth, float(np.exp(t))).mean(), bounds=(low, high), method="bounded"
    )
    return float(np.exp(found.x))


def calibration_error(logits: np.ndarray, truth: np.ndarray, temperature: float = 1.0, seed: int = 0) -> Measured:
    """Return the expected calibration error of finite logits, with the bootstrap's spread around it.

    Resampling makes bins differ by itself and so adds to the error; its mean rise is taken off the interval.
    """
    confidence, right = _confidence_and_right(logits, truth, temperature)
    parts = equal_mass(confidence)
    gaps = np.zeros((len(truth), len(parts)))
    for k, rows in enumerate(parts):
        gaps[rows, k] = confidence[rows] - right[rows]
    error = expected_error(confidence, right)
    drawn = np.abs(resampled_means(gaps, seed)).sum(axis=1)
    found = spread(error, drawn - (drawn.mean() - error))
    return Measured(error, max(0.0, found.low), min(1.0, found.high))


def _confidence_and_right(logits: np.ndarray, truth: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    confidence = np.exp(log_softmax(logits.astype(np.float64) / temperature, axis=1).max(axis=1))
    return confidence, (answered(logits) == truth).astype(np.float64)


def _losses(logits: np.ndarray, truth: np.ndarray, temperature: float) -> np.ndarray:
    scores = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    found: np.ndarray = -scores[np.arange(len(truth)), truth]
    return found


def _bins(confidence: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    return tuple(
        Bin(float(confidence[p].mean()), float(right[p].mean()), *wilson(int(right[p].sum()), len(p)), len(p))
        for p in equal_mass(confidence)
    )


def _macro_f1(answers: np.ndarray, truth: np.ndarray, classes: int, seed: int) -> Measured:
    """Return the mean F1 of the classes among the labels; F1 = 2 hits / (said + meant)."""
    known = np.unique(truth)
    said = np.arange(classes)[known][None] == answers[:, None]
    meant = np.arange(classes)[known][None] == truth[:, None]

    def score(means: np.ndarray) -> np.ndarray:
        hits, all_said, all_meant = np.split(means, 3, axis=-1)
        mass = all_said + all_meant
        each = np.divide(2 * hits, mass, out=np.full_like(mass, np.nan), where=mass > 0)
        found: np.ndarray = np.nanmean(each, axis=-1)
        return found

    table = np.concatenate([said & meant, said, meant], axis=1).astype(np.float64)
    return spread(float(score(table.mean(axis=0))), score(resampled_means(table, seed)))
