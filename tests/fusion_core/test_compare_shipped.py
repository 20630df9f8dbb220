"""The comparisons shipped with the samples: of these models and records, whole, small, and with the right verdicts."""

from __future__ import annotations

import pytest

from fusion_core.answer_table import load_answers
from fusion_core.compare.damage import media_kinds
from fusion_core.compare.result_file import FILE_NAME, load_comparison
from tests.conftest import SAMPLES

VERDICTS = {"feedback": ("independent", "late"), "scene_qa": ("interaction", None)}
MOST_BYTES = 300_000


@pytest.fixture(scope="module", params=VERDICTS)
def shipped(request):
    bundle, records = SAMPLES / "bundles" / request.param, SAMPLES / request.param / "test"
    found = load_comparison(bundle, records)
    assert found is not None, "made of another model or other records: python -m sample_data.make --only-compare"
    return request.param, found, load_answers(bundle, records)


def test_the_verdict_has_the_right_sign(shipped):
    name, found, _ = shipped
    needs, strategy = VERDICTS[name]
    assert found.verdict.needs == needs
    assert strategy in (None, found.verdict.strategy)
    if needs == "interaction":
        assert found.verdict.strategy not in ("late", "product_of_experts")
        assert found.verdict.evidence["difference"].low > 0.3
        assert found.verdict.evidence["gap"].low > 0.2


def test_it_is_whole_and_small(shipped):
    name, found, answers = shipped
    assert (SAMPLES / name / "test" / FILE_NAME).stat().st_size < MOST_BYTES
    assert (found.done, found.doing, found.left_out, found.refused) == (found.planned, "", (), 0)
    assert found.records == len(answers["id"].unique())
    for report in found.strategies:
        assert {c.kind for c in report.curves} == set(media_kinds(found.modalities))
        assert all(c.records == found.records and len(c.severities) in (2, 4) for c in report.curves)
        assert len(report.patterns) == 2 ** len(found.modalities) - 1
        assert report.cost.milliseconds > 0
        assert report.cost.operations > 0


def test_accuracies_are_those_of_the_answers_shipped_beside_it(shipped):
    _, found, answers = shipped
    for strategy, rows in answers.groupby("strategy"):
        assert found.of(strategy).quality.accuracy.value == pytest.approx(rows["correct"].mean(), abs=0.004)
