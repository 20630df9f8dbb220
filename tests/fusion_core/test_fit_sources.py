"""Where a fit takes records, answers and decisions from, and the command line around it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fusion_core.bundle import load
from fusion_core.cli import main
from fusion_core.errors import CallError
from fusion_core.fit_plan import FitPlan
from fusion_core.fit_records import read_labels, records_of_log, teacher_of
from fusion_core.fitting import run_fit
from fusion_core.log.parts import create_run, rows_table, write_part
from fusion_core.log.runs import run_folder
from fusion_core.log.schema import Logged, Run
from fusion_core.reading.records import RecordSet
from fusion_core.review import suspects
from tests.fusion_core.test_fitting import reviews

CLASSES = ("bad", "good")
DAY = datetime(2026, 5, 1)


def answered(record, k, strategy="late", sure=0.9, label=None):
    said = int(record.label == "good")
    return Logged(
        record.id,
        strategy,
        CLASSES[said],
        sure,
        tuple(sure if c == said else 1 - sure for c in (0, 1)),
        DAY + timedelta(minutes=k),
        present=("text",),
        text=record.text,
        label=label,
    )


def make_log(log, rows, name="service"):
    run = Run(name, CLASSES, ("text",), {}, "recorder", "feedback")
    create_run(log, run)
    write_part(run_folder(log, name), "parts", rows_table(rows, run), 0)
    return log


@pytest.fixture
def log(tmp_path):
    """Sixty answered reviews, every second with a label, under two strategies; one id comes twice."""
    records = reviews().records
    rows = [answered(r, k, label=r.label if k % 4 < 2 else None) for k, r in enumerate(records)]
    rows += [answered(r, 100 + k, "concat", 0.7) for k, r in enumerate(records)]
    rows.append(answered(records[0], 300, sure=0.6, label="bad"))
    return make_log(tmp_path / "log", rows)


@pytest.fixture
def folder(tmp_path):
    records = tmp_path / "records"
    records.mkdir()
    rows = [{"id": r.id, "text": r.text, "label": r.label} for r in reviews(80).records]
    (records / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return records


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return call


def test_labelled_rows_of_a_log_are_records_each_once(log):
    records, teacher = records_of_log(log)
    assert teacher is None
    assert len(records.records) == 30
    assert records.find("r0").label == "good"
    assert records.find("r0").text == reviews().records[0].text


def test_a_logged_model_teaches_its_own_answers_of_one_strategy(log):
    records, teacher = records_of_log(log, distil=True, strategy="concat")
    assert len(records.records) == 60
    assert teacher.name == "feedback concat"
    assert teacher.classes == CLASSES
    assert teacher.probabilities["r0"] == pytest.approx((0.3, 0.7))
    with pytest.raises(CallError, match=r"answers of concat, late; name the one"):
        records_of_log(log, distil=True)
    with pytest.raises(CallError, match="no answers of 'early'"):
        records_of_log(log, distil=True, strategy="early")


def test_an_answer_without_probabilities_counts_as_sure(tmp_path):
    row = Logged("a", "late", "good", 0.9, None, present=("text",), text="x")
    _, teacher = records_of_log(make_log(tmp_path, [row]), distil=True)
    assert teacher.probabilities == {"a": (0.0, 1.0)}


def test_a_log_without_labels_says_what_else_can_be_done(tmp_path):
    log = make_log(tmp_path, [answered(reviews().records[0], 0)])
    with pytest.raises(CallError, match="no row with a label; distil"):
        records_of_log(log)


def test_a_fit_on_a_log_and_one_on_its_answers(run, log, tmp_path):
    code, lines, _ = run("fit", "--log", log, "--out", tmp_path / "m", "--strategies", "late")
    assert code == 0
    assert load(tmp_path / "m").facts.classes == {"bad": (12, 3), "good": (12, 3)}
    asked = ("fit", "--log", log, "--distil", "--out", tmp_path / "d", "--strategies", "late")
    assert run(*asked)[0] == 2
    code, lines, _ = run(*asked, "--teacher-strategy", "late")
    assert code == 0
    (head,) = lines[-1]["strategies"].values()
    assert lines[-1]["teacher"] == "feedback late"
    assert head["status"] in ("distilled", "chance")
    assert head["agreement"] == head["validation_accuracy"]


def test_a_bundle_teaches_on_records_without_labels(run, folder, tmp_path):
    run("fit", "--records", folder, "--out", tmp_path / "m", "--strategies", "late,concat")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    bare = "".join(json.dumps({"id": r["id"], "text": r["text"]}) + "\n" for r in rows)
    (folder / "metadata.jsonl").write_text(bare)
    code, lines, _ = run(
        "fit", "--records", folder, "--distil", "--teacher", tmp_path / "m", "--teacher-strategy", "concat",
        "--out", tmp_path / "d", "--strategies", "late",
    )  # fmt: skip
    assert code == 0
    assert lines[-1]["teacher"] == "m concat"
    assert lines[-1]["strategies"]["late"]["status"] == "distilled"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "either --records or --log"),
        (["--records", "x", "--log", "y"], "either --records or --log"),
        (["--records", "x", "--run", "y"], "--run names a run of a --log"),
        (["--records", "x", "--teacher", "y"], "are for --distil"),
        (["--records", "x", "--distil"], "of a --teacher BUNDLE"),
        (["--log", "x", "--distil", "--teacher", "y"], "of a --teacher BUNDLE"),
        (["--log", "x", "--distil", "--teacher-labels", "a,b"], "a log has its own classes"),
        (["--records", "x", "--encoders", "y", "--encoders-of", "z"], "either --encoders or --encoders-of"),
        (["--records", "x", "--minutes", "0"], "more than 0"),
        (["--records", "x", "--minutes", "nan"], "more than 0"),
        (["--records", "x", "--cache", "y", "--no-cache"], "either --cache or --no-cache"),
    ],
    ids=[
        "nothing",
        "both",
        "run",
        "teacher",
        "no teacher",
        "two teachers",
        "labels of a log",
        "two encoders",
        "no minutes",
        "nan minutes",
        "caches",
    ],
)
def test_flags_that_do_not_go_together_are_refused(run, tmp_path, flags, sentence):
    code, _, err = run("fit", "--out", tmp_path / "m", *flags)
    assert code == 2
    assert sentence in err


def test_the_command_line_keeps_tokens_unless_told_not_to(run, folder, tmp_path):
    fit = ("fit", "--records", folder, "--out", tmp_path / "m", "--strategies", "late")
    run(*fit, "--no-cache")
    assert not (tmp_path / "xdg").exists()
    run(*fit, "--cache", tmp_path / "mine")
    assert len(list((tmp_path / "mine").glob("text-*/*/*"))) == 80
    run(*fit)
    assert len(list((tmp_path / "xdg" / "fusion-lens" / "tokens").glob("text-*/*/*"))) == 80


def test_decisions_of_a_review_are_read_back_into_a_fit(run, folder, tmp_path):
    decisions = tmp_path / "labels.jsonl"
    decisions.write_text('{"id": "r0", "label": null}\n\n{"kind": "suspect", "id": "r1", "label": "good"}\n')
    assert read_labels(decisions) == {"r0": None, "r1": "good"}
    code, _, _ = run("fit", "--records", folder, "--out", tmp_path / "m", "--strategies", "late", "--labels", decisions)
    assert code == 0
    assert load(tmp_path / "m").facts.classes == {"bad": (32, 7), "good": (32, 8)}


@pytest.mark.parametrize(
    "line", ["not json", "[]", '{"id": "a"}', '{"id": 1, "label": "x"}', '{"id": "a", "label": 2}', '{"label": null}']
)
def test_a_decision_that_is_none_is_named_by_its_line(tmp_path, line):
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "label": "b"}\n' + line + "\n")
    with pytest.raises(CallError, match=r"line 2 of 'labels\.jsonl'"):
        read_labels(tmp_path / "labels.jsonl")


def test_a_head_at_chance_does_not_teach(tiny_model):
    model = type(tiny_model)(
        "tiny", tiny_model.classes, tiny_model.stack, tiny_model.heads,
        {n: replace(f, status="chance") for n, f in tiny_model.fitted.items()}, tiny_model.background, "late",
    )  # fmt: skip
    with pytest.raises(CallError, match="no better than chance"):
        teacher_of(model, [])


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    """A model fitted on 200 reviews, ten of them with the other label, which ones, and the set."""
    records = list(reviews(200).records)
    wrong = {f"r{k}" for k in range(7, 200, 20)}
    rows = [replace(r, label={"good": "bad", "bad": "good"}[r.label]) if r.id in wrong else r for r in records]
    folder = tmp_path_factory.mktemp("review")
    given = RecordSet(tuple(rows))
    model = run_fit(FitPlan("m", given, strategies=("late",), cache=folder / "cache"), folder / "m").model
    return model, given, wrong, folder


def test_flipped_labels_lead_the_review(flipped):
    model, records, wrong, folder = flipped
    found = suspects(model, records, "late", folder / "cache", most=15)
    assert {s.id for s in found[:10]} == wrong
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    for one in found:
        assert one.suggested != one.label
        assert 0.0 <= one.belief < 0.5
        assert 0.0 <= one.self_influence <= 1.0


def test_a_review_is_the_same_twice_and_asks_for_enough(flipped):
    model, records, _, folder = flipped
    cache = folder / "cache"
    assert suspects(model, records, "", cache, most=5) == suspects(model, records, "", cache, most=50)[:5]
    with pytest.raises(CallError, match="at least 30 readable records"):
        suspects(model, RecordSet(records.rows[:20]), "", cache)
    with pytest.raises(CallError, match="at least 1"):
        suspects(model, records, "", cache, most=0)


def test_the_review_verb_prints_suspects_then_their_count(flipped, run, tmp_path):
    _, records, wrong, folder = flipped
    (tmp_path / "r").mkdir()
    rows = [{"id": r.id, "text": r.text, "label": r.label} for r in records.records]
    (tmp_path / "r" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": "none"}]))
    code, lines, _ = run("review", "--model", folder / "m", "--records", tmp_path / "r", "--most", "10")
    assert code == 3
    assert (lines[0]["kind"], lines[0]["code"]) == ("error", "record_empty")
    assert {line["id"] for line in lines[1:-1]} == wrong
    assert set(lines[1]) == {"kind", "id", "label", "suggested", "belief", "self_influence", "score"}
    assert lines[-1] == {"kind": "review", "records": 200, "suspects": 10}
