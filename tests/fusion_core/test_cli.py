"""The command line: JSON lines out, one line per row in, exit codes that scripts rely on, no connection anywhere."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys

import pytest

from fusion_core.attribute import method
from fusion_core.cli import main
from fusion_core.commands.flags import METHODS
from fusion_core.errors import CODES
from fusion_core.fusion import strategy
from tests.conftest import ROOT, SAMPLES

BUNDLE = SAMPLES / "bundles" / "feedback"
PREDICT_KEYS = {
    "id",
    "strategy",
    "status",
    "code",
    "message",
    "prediction",
    "probabilities",
    "label",
    "correct",
    "present",
    "flags",
}
TRACE_KEYS = {
    "id",
    "strategy",
    "prediction",
    "ledger",
    "attention",
    "attention_scores",
    "attributions",
    "checks",
    "cost",
}
LEDGER_KEYS = {
    "class", "unit", "policy", "donors", "base", "full", "contributions", "standard_errors", "interactions",
    "three_way", "alone", "without",
}  # fmt: skip


@pytest.fixture
def run(capsys, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))

    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return call


@pytest.fixture
def records(tmp_path):
    """Six rows: three whole, one without audio, one with a broken image, one that names a missing file."""
    test = SAMPLES / "feedback" / "test"
    rows = [json.loads(line) for line in (test / "metadata.jsonl").read_text("utf-8").splitlines()[:6]]
    for row in rows:
        for column in ("image_file_name", "audio_file_name"):
            target = tmp_path / row[column]
            target.parent.mkdir(exist_ok=True)
            shutil.copy(test / row[column], target)
    del rows[3]["audio_file_name"]
    (tmp_path / rows[4]["image_file_name"]).write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    rows[5]["image_file_name"] = "images/nowhere.png"
    del rows[1]["id"]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return tmp_path


def test_predict_gives_one_line_per_row_in_order_and_exit_code_3_for_bad_ones(run, records):
    code, lines, _ = run("predict", "--model", BUNDLE, "--records", records)
    assert code == 3
    assert [line["status"] for line in lines] == ["ok"] * 4 + ["error"] * 2
    assert lines[1]["id"] == "row:2"
    assert lines[3]["present"] == ["text", "image"]
    assert all(set(line) == PREDICT_KEYS for line in lines)
    assert lines[4]["code"] in ("image_damaged", "image_unsupported")
    assert lines[5]["code"] == "file_missing"
    for line in lines[4:]:
        assert line["message"]
        assert line["strategy"] is None
        assert all(line[k] is None for k in PREDICT_KEYS - {"id", "status", "code", "message", "strategy"})


def test_predict_all_gives_one_line_per_strategy_in_bundle_order(run, records):
    _, lines, _ = run("predict", "--model", BUNDLE, "--records", records, "--strategy", "all")
    assert [line["strategy"] for line in lines[: len(list(strategy))]] == list(strategy)
    assert len(lines) == 4 * len(list(strategy)) + 2
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1.0)


def test_trace_lists_every_method_in_its_help_and_runs_them_all_with_their_badges(run, capsys):
    assert METHODS.split(";")[0].split(", ") == list(method)
    records = SAMPLES / "scene_qa" / "test"
    model = SAMPLES / "bundles" / "scene_qa"
    code, (line,), _ = run(
        "trace", "--model", model, "--records", records, "--id", "sq-test-0001", "--method", "all", "--against", "red"
    )
    assert code == 0
    assert [a["method"] for a in line["attributions"]] == list(method)
    assert {a["against"] for a in line["attributions"]} == {"red"}
    assert [s["method"] for s in line["attention_scores"]] == ["raw", "rollout", "relevancy"]
    for found in (*line["attributions"], *line["attention_scores"]):
        first = found["faithfulness"][0]
        assert first["badge"] in ("trusted", "weak", "random")
        assert (first["scope"], first["policy"], first["orders"]) == ("all", "mean", 20)
    assert all(a["spread"]["text"] for a in line["attributions"] if a["method"] in ("kernel_shap", "smooth_grad"))


def test_a_clean_set_exits_with_0_and_twice_the_same(run):
    arguments = ("trace", "--model", BUNDLE, "--records", SAMPLES / "feedback" / "test", "--id", "fb-test-0002")
    first, second = run(*arguments), run(*arguments)
    assert first[0] == second[0] == 0
    for lines in (first[1], second[1]):
        lines[0]["cost"].pop("seconds")
    assert first[1] == second[1]


def test_trace_has_the_documented_fields_and_its_ledger_adds_up(run):
    code, lines, _ = run(
        *("trace", "--model", BUNDLE, "--records", SAMPLES / "feedback" / "test", "--id", "fb-test-0001"),
        *("--strategy", "all", "--full"),
    )
    assert code == 0
    assert len(lines) == len(list(strategy))
    for line in lines:
        assert set(line) == TRACE_KEYS
        ledger = line["ledger"]
        assert set(ledger) == LEDGER_KEYS
        total = sum(ledger["contributions"].values())
        assert abs(total - (ledger["full"] - ledger["base"])) <= 1e-4 * max(1, abs(ledger["full"] - ledger["base"]))
        assert ledger["donors"] == 32
        for found in line["attributions"]:
            assert all(len(found["scores"][m]) == len(found["labels"][m]) for m in found["scores"])
    cross = lines[-1]["attention"]
    pairs = {(a["query"], a["key"]) for a in cross if a["site"] == "cross"}
    assert len(pairs) == 6
    weights = next(a for a in cross if a["site"] == "cross")["weights"]
    assert sum(weights[0][0]) == pytest.approx(1.0, abs=1e-3)


def test_trace_takes_a_target_class_and_a_policy(run):
    arguments = ("trace", "--model", BUNDLE, "--records", SAMPLES / "feedback" / "test", "--id", "fb-test-0001")
    _, lines, _ = run(*arguments, "--target", "negative", "--policy", "missing")
    assert lines[0]["ledger"]["class"] == "negative"
    assert lines[0]["ledger"]["policy"] == "missing"
    assert lines[0]["attributions"][0]["target"] == "negative"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--id", "no-such-id"), "no-such-id"),
        (
            ("--id", "fb-test-0001", "--strategy", "osmosis"),
            "strategy 'osmosis' is not in model 'feedback'; it has late",
        ),
        (
            ("--id", "fb-test-0001", "--method", "magic"),
            "unknown attribution method 'magic'; known: integrated_gradients",
        ),
        (("--id", "fb-test-0001", "--target", "joy"), "unknown target class 'joy'; the model has negative"),
        (("--id", "fb-test-0001", "--policy", "x"), "unknown removal policy 'x'; allowed: marginal"),
    ],
)
def test_a_call_that_cannot_be_used_is_one_line_and_exit_code_2(run, arguments, sentence):
    code, lines, err = run("trace", "--model", BUNDLE, "--records", SAMPLES / "feedback" / "test", *arguments)
    assert code == 2
    assert lines == []
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_missing_bundle_or_record_set_is_exit_code_2(run, tmp_path):
    assert run("predict", "--model", tmp_path / "none", "--records", tmp_path)[0] == 2
    assert run("predict", "--model", BUNDLE, "--records", tmp_path / "none")[0] == 2
    assert run("predict", "--model", BUNDLE)[0] == 2


def test_doctor_lists_capabilities_and_codes(run):
    code, lines, _ = run("doctor", "--model", BUNDLE)
    assert code == 0
    assert all(set(line) == {"kind", "name", "supported", "reason"} for line in lines)
    by_name = {line["name"]: line for line in lines}
    assert by_name["attention: cross_attention"]["supported"]
    assert not by_name["attention: late"]["supported"]
    assert all(by_name[f"modality: {m}"]["supported"] for m in ("text", "image", "audio"))
    assert {line["code"] for line in run("doctor", "--codes")[1]} == set(CODES)
    assert any(line["name"] == "encoder: audio" and line["supported"] for line in run("doctor")[1])


def review_set(folder, count=60):
    folder.mkdir()
    good, bad = "a very good camera, we love it", "a terrible player, it broke and we hate it"
    rows = [{"text": f"{good if k % 2 else bad} {k}", "label": "good" if k % 2 else "bad"} for k in range(count)]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return folder


def test_fit_on_ones_own_records_gives_a_bundle_that_answers(run, tmp_path):
    records = review_set(tmp_path / "reviews")
    out = tmp_path / "mine"
    code, lines, err = run("fit", "--records", records, "--out", out, "--strategies", "late,concat", "--seed", "3")
    assert code == 0
    last = lines[-1]
    assert (last["kind"], list(last["strategies"])) == ("fit", ["late", "concat"])
    for figures in last["strategies"].values():
        assert set(figures) == {"parameters", "validation_accuracy", "interval", "chance", "status", "seconds"}
        assert figures["status"] == "trained"
    assert "late: epoch" in err
    code, lines, _ = run("predict", "--model", out, "--records", records)
    assert code == 0
    assert sum(line["correct"] for line in lines) >= 58


def test_fit_with_the_same_seed_gives_the_same_weights(run, tmp_path):
    records = review_set(tmp_path / "reviews", 40)
    for name in ("a", "b"):
        run("fit", "--records", records, "--out", tmp_path / name, "--strategies", "late")
    first, second = ((tmp_path / n / "strategies" / "late.safetensors").read_bytes() for n in ("a", "b"))
    assert first == second


def test_rows_in_any_order_are_split_by_class_and_unlabelled_rows_are_named(run, tmp_path):
    records = tmp_path / "r"
    records.mkdir()
    rows = [{"id": f"r{k}", "text": f"class {'abcde'[k % 5]} {k}", "label": "abcde"[k % 5]} for k in range(80)]
    rows += [{"id": "bare", "text": "nobody said"}, {"id": "nothing", "label": "a"}]
    (records / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    code, lines, _ = run("fit", "--records", records, "--out", tmp_path / "m", "--strategies", "late")
    assert code == 3
    assert {line["id"]: line["code"] for line in lines[:-1]} == {"bare": "label_missing", "nothing": "record_empty"}
    assert lines[-1]["strategies"]["late"]["chance"] == pytest.approx(0.2)


def test_fit_refuses_what_it_could_not_finish_before_it_starts(run, tmp_path):
    records = review_set(tmp_path / "reviews")
    (tmp_path / "file").write_text("")
    assert run("fit", "--records", records, "--out", tmp_path / "file")[0] == 2
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "metadata.jsonl").write_text('{"text": "x"}\n')
    code, _, err = run("fit", "--records", records, "--validation", bare, "--out", tmp_path / "m")
    assert code == 2
    assert "no labelled record is left for validation" in err
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert run("fit", "--records", records, "--encoders", tmp_path / "deep.json", "--out", tmp_path / "m")[0] == 2


def test_tracing_a_row_that_could_not_be_read_is_an_error_line_and_exit_code_3(run, records):
    for record_id in ("fb-test-0005", "fb-test-0006"):
        code, lines, _ = run("trace", "--model", BUNDLE, "--records", records, "--id", record_id)
        assert code == 3
        assert (lines[0]["id"], lines[0]["status"]) == (record_id, "error")


def test_random_labels_give_a_head_at_chance_that_says_so(run, tmp_path):
    records = review_set(tmp_path / "reviews", 80)
    rows = [json.loads(line) for line in (records / "metadata.jsonl").read_text().splitlines()]
    for k, row in enumerate(rows):
        row["text"], row["label"] = f"number {k * 7919 % 97}", "good" if (k * 31 % 7) % 2 else "bad"
    (records / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    _, lines, _ = run("fit", "--records", records, "--out", tmp_path / "m", "--strategies", "late")
    assert lines[-1]["strategies"]["late"]["status"] == "chance"


@pytest.mark.parametrize(("count", "sentence"), [(10, "at least 30 labelled records"), (0, "at least 2 classes")])
def test_too_few_records_or_classes_are_refused(run, tmp_path, count, sentence):
    code, _, err = run("fit", "--records", review_set(tmp_path / "few", count), "--out", tmp_path / "m")
    assert code == 2
    assert sentence in err


def test_nothing_connects_anywhere(run, records, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert run("predict", "--model", BUNDLE, "--records", records, "--strategy", "all")[0] == 3
    assert run("trace", "--model", BUNDLE, "--records", SAMPLES / "feedback" / "test", "--id", "fb-test-0001")[0] == 0


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "fusion_core", "doctor", "--codes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[0])["kind"] == "code"
