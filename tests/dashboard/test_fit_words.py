"""Fit in words and HTML: counts, figures beside chance, a card and suspects with every text escaped."""

from __future__ import annotations

import pytest

from dashboard.views import fit as words
from dashboard.views.card import card_html
from dashboard.views.fit_charts import curves
from dashboard.views.review import suspect_html
from dashboard.views.similar import Glimpse
from fusion_core.fit_plan import Pass
from fusion_core.model import Fitted
from fusion_core.reading.records import RecordSet
from fusion_core.review import Suspect
from fusion_core.types import Record

MARKUP = "![x](http://127.0.0.1/x) <script>alert(1)</script>"


def fitted(name, accuracy, status="trained"):
    return Fitted(name, 12_345, accuracy, (accuracy - 0.1, accuracy + 0.1), 12, 48, 0.4, status, 3, 1.5)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (2.0, ", a few seconds left"),
        (42.0, ", about 40 s left"),
        (89.0, ", about 90 s left"),
        (150.0, ", about 2 min left"),
    ],
)
def test_time_left_is_no_more_exact_than_it_can_be(seconds, said):
    assert words.time_left(seconds) == said


def test_a_head_at_chance_and_a_distilled_one_are_marked():
    shown = words.result_html({"late": fitted("late", 0.45, "chance"), "gated": fitted("gated", 0.8)}, False)
    assert shown.index("gated") < shown.index("late")
    assert "at chance" in shown
    assert "validation accuracy" in shown
    distilled = {"late": fitted("late", 0.9, "distilled")}
    assert "agreement with the teacher" in words.result_html(distilled, True)
    assert "distilled" in words.result_html(distilled, True)
    assert "right or wrong" in words.result_caption(distilled, True, 0)


def test_many_classes_are_counted_and_the_rest_is_summed_up():
    found = words.account(*labelled_apart(30))
    assert len(found.classes) == 30
    shown = words.account_html(found, None)
    assert shown.count("<li>") == words.MOST_CLASSES + 3
    assert "and 18 more with 2 records each" in shown


def labelled_apart(classes):
    records = RecordSet(tuple(Record(f"r{k}", "text", label=f"c{k % classes:02d}") for k in range(2 * classes)))
    return records, {record.id: record.label for record in records.records}


def test_a_curve_is_drawn_per_strategy_with_chance_beneath():
    lines = {"late": (Pass(1.0, 0.5), Pass(0.8, 0.6)), "cross_attention": (Pass(1.1, 0.4),)}
    figure = curves(lines, 0.4, "validation accuracy")
    assert [(trace.name, list(trace.y)) for trace in figure.data] == [("late", [0.5, 0.6]), ("cross-attention", [0.4])]
    assert figure.layout.shapes[0].y0 == 0.4
    assert curves({}, None, "validation accuracy").data == ()


def test_a_model_card_keeps_its_tables_and_nothing_of_what_a_class_name_tries():
    table = "| class | n |\n|---|---|\n| a\\|b &lt;i&gt; | `3` |"
    card = f"# mine\n\nOver 2 classes ({MARKUP}, [a](javascript:x)).\n\n{table}\n\n**Bold.**"
    shown = card_html(card)
    assert "<script" not in shown
    assert "<a " not in shown
    assert "<img" not in shown
    assert "<td>a|b &lt;i&gt;</td><td><code>3</code></td>" in shown
    assert "<h4>mine</h4>" in shown
    assert "<b>Bold.</b>" in shown


def test_a_suspect_is_shown_with_its_text_escaped():
    found = Suspect("<r>", "<b>no</b>", "yes", 0.02, 0.97, 1.0)
    shown = suspect_html(found, Glimpse(Record("<r>", MARKUP)))
    assert "<script" not in shown
    assert "<b>no</b>" not in shown
    assert "belief in its label 0.02" in shown
