"""A small made-up comparison, whole or as it is after some pieces of work: every number in it is invented."""

from __future__ import annotations

from dataclasses import replace

from fusion_core.compare.result import (
    Against,
    Bin,
    Calibration,
    Comparison,
    Curve,
    Measured,
    PatternQuality,
    Quality,
    StrategyCost,
    StrategyReport,
    Verdict,
)
from fusion_core.contribute.emap import Emap
from fusion_core.contribute.perceptual import PerceptualScore
from fusion_core.contribute.pid import PARTS, Decomposition, Information

RECORDS = 120
ACCURACY = {"late": 0.60, "concat": 0.62, "early": 0.80, "cross_attention": 0.90}
CURVES = (
    ("text", "text.typos", (0, 1, 3, 5)),
    ("image", "image.blank", (0, 5)),
    ("audio", "audio.noise", (0, 1, 3, 5)),
)


def made_comparison(
    strategies=tuple(ACCURACY), modalities=("text", "image", "audio"), labelled=True, stage="whole", curves=CURVES
):
    """Return a comparison. stage: `quality` (accuracies only), `measured` (all but faults and verdict) or `whole`."""
    found = tuple(_report(s, modalities, labelled, stage, curves) for s in strategies)
    planned = 4 * len(strategies) + len(curves)
    left_out = () if labelled else ("no record has a label: accuracies, EMAP, perceptual scores and PID",)
    return Comparison(
        model="made up",
        records_name="made up",
        records=RECORDS,
        refused=2,
        classes=("negative", "neutral", "positive"),
        modalities=modalities,
        baseline=strategies[0],
        seed=0,
        strategies=found,
        verdict=_verdict(strategies) if labelled and stage == "whole" else None,
        done=planned if stage == "whole" else planned // 4,
        planned=planned,
        doing="" if stage == "whole" else "cost of late",
        left_out=left_out,
    )


def around(value, half=0.05):
    return Measured(value, value - half, value + half)


def _report(strategy, modalities, labelled, stage, curves):
    accuracy = ACCURACY[strategy]
    bare = StrategyReport(strategy, "trained", _quality(accuracy) if labelled else None, _against(accuracy, labelled))
    if stage == "quality":
        return bare
    measured = replace(
        bare,
        cost=StrategyCost(400_000, 0.4 + accuracy, 1.6, 40.0 * accuracy),
        patterns=tuple(_pattern(p, modalities, accuracy, labelled) for p in _patterns(modalities)),
        emap=Emap(accuracy, 0.6, accuracy - 0.6, (accuracy - 0.66, accuracy - 0.54), 0.3, (0.2, 0.4), RECORDS,
                  "closed" if strategy == "late" else "monte_carlo", 0 if strategy == "late" else 64)
        if labelled else None,
        perceptual=tuple(_score(m, accuracy) for m in modalities) if labelled else (),
        information=(_information(*modalities[:2]),) if labelled else (),
        reliance={m: around(1 / len(modalities)) for m in modalities},
        ledgers=64,
    )  # fmt: skip
    return replace(measured, curves=tuple(_curve(c, accuracy) for c in curves)) if stage == "whole" else measured


def _quality(accuracy):
    bins = tuple(Bin(0.3 + 0.045 * k, 0.3 + 0.04 * k, 0.2 + 0.04 * k, 0.4 + 0.04 * k, RECORDS // 15) for k in range(15))
    calibration = Calibration(around(0.08, 0.02), 1.4, around(0.04, 0.02), bins, around(0.09, 0.02))
    return Quality(around(accuracy), around(accuracy - 0.02), around(1 - accuracy, 0.1), calibration, RECORDS)


def _against(accuracy, labelled):
    gain = round((accuracy - ACCURACY["late"]) * RECORDS)
    if not labelled or not gain:
        return None
    return Against("late", around(gain / RECORDS), 0.5 if gain < 5 else 0.001, gain + 3, 3, round(0.4 * RECORDS))


def _patterns(modalities):
    return [tuple(m for k, m in enumerate(modalities) if n >> k & 1) for n in range(1, 2 ** len(modalities))]


def _pattern(present, modalities, accuracy, labelled):
    share = len(present) / len(modalities)
    right = around(0.33 + (accuracy - 0.33) * share) if labelled else None
    agreement = around(0.95 if share == 1 else 0.4 + 0.4 * share)
    return PatternQuality(present, right, 0.1 if labelled else None, RECORDS, agreement)


def _curve(given, accuracy):
    modality, kind, severities = given
    heights = tuple(around(accuracy - 0.06 * s) for s in severities)
    return Curve(
        kind, modality, severities, heights, accuracy - 0.15, accuracy - ACCURACY["late"], RECORDS, len(severities) > 2
    )


def _score(modality, accuracy):
    return PerceptualScore(modality, accuracy, 0.2, (0.1, 0.3), 0.1, (0.0, 0.2), {}, {}, 5, RECORDS)


def _information(first, second):
    bits = Decomposition(0.1, 0.05, 0.08, 0.4)
    intervals = {part: (getattr(bits, part) - 0.05, getattr(bits, part) + 0.05) for part in PARTS}
    return Information(first, second, "labels", bits, Decomposition(0.0, 0.01, 0.01, 0.2), intervals, (20, 20), RECORDS)


def _verdict(strategies):
    return Verdict(
        "interaction",
        strategies[-1],
        "The task needs relations between modalities (all of this is made up).",
        {"difference": around(0.3), "gap": around(0.28), "residual": around(0.3)},
    )
