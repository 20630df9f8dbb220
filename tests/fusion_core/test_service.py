"""The service of the README, recorded: its log holds what it answered and nothing else, and never stands in its way."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fusion_core.answers import answer_rows
from fusion_core.bundle import load
from fusion_core.log import queries
from fusion_core.log.parts import media_path, read_run
from fusion_core.log.store import Store
from fusion_core.reading.records import read
from tests.bench.service import BUNDLE, RECORDS, body_of, post, row, serving
from tests.conftest import ROOT

COUNT = 6
GOOD = b'{"id": "good", "text": "it works", "image": null}'


@pytest.fixture(scope="module")
def model():
    return load(BUNDLE)


@pytest.fixture(scope="module")
def records():
    return read(RECORDS).records[:COUNT]


def rows(log):
    with Store(log) as store:
        return queries.page(store).to_dict("records")


def test_the_log_holds_what_the_service_answered_with_its_media(tmp_path, model, records):
    with serving(model, tmp_path) as service, ThreadPoolExecutor(3) as clients:
        said = list(clients.map(lambda record: post(service.server_port, body_of(record)), records))
    assert [status for status, _ in said] == [200] * COUNT
    answered = {answer["id"]: answer for _, answer in said}
    expected = {a.record.id: a.prediction for a in answer_rows(model, records, [model.default_strategy])}
    logged = {row["id"]: row for row in rows(tmp_path)}
    assert len(rows(tmp_path)) == len(logged) == COUNT
    assert read_run(tmp_path, "served-1.0").model == model.name
    for record in records:
        row = logged[record.id]
        assert row["prediction"] == answered[record.id]["prediction"] == expected[record.id].top
        assert row["probabilities"] == pytest.approx(expected[record.id].probabilities, abs=1e-4)
        assert row["confidence"] == pytest.approx(answered[record.id]["confidence"], abs=1e-6)
        assert (row["text"], row["strategy"], row["release"]) == (record.text, model.default_strategy, "1.0")
        assert row["present"] == "text+image+audio"
        assert row["latency_ms"] > 0
        for kept, file in ((row["image"], record.image), (row["audio"], record.audio)):
            assert media_path(tmp_path, kept).read_bytes() == file.path.read_bytes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"rubbish",
        b"\xff\xfe",
        b"[]",
        b"[" * 5_000,
        b"{}",
        b'{"id": "a"}',
        b'{"text": ["a"]}',
        b'{"text": "a", "image": "not base64!"}',
        b'{"image": null, "audio": null}',
        b'{"text": "a", "image": 7}',
        b'{"text": "a", "audio": "AAAA"}',
        b'{"text": "a", "id": "' + b"x" * 1_000 + b'"}',
    ],
)
def test_a_refused_request_is_told_why_and_reaches_no_log(tmp_path, model, body):
    with serving(model, tmp_path) as service:
        status, said = post(service.server_port, body)
        assert status == 400
        assert said["code"]
        assert said["message"]
        assert post(service.server_port, GOOD)[0] == 200
    assert [row["id"] for row in rows(tmp_path)] == ["good"]


@pytest.mark.parametrize("length", ["", "-1", "ten", "999999999999", "50"])
def test_a_client_that_lies_or_hangs_up_does_not_stop_the_service(tmp_path, model, length):
    with serving(model, tmp_path) as service:
        with socket.create_connection(("127.0.0.1", service.server_port)) as client:
            client.sendall(f"POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{{".encode())
            client.shutdown(socket.SHUT_WR)
            assert b" 400 " in client.makefile("rb").readline()
        assert post(service.server_port, GOOD)[0] == 200
    assert [row["id"] for row in rows(tmp_path)] == ["good"]


def test_a_log_that_cannot_be_written_from_the_start_does_not_break_answering(tmp_path, model, records, capsys):
    (tmp_path / "log").write_text("a file", "utf-8")
    with serving(model, tmp_path / "log") as service:
        assert service.recorder is None
        assert [post(service.server_port, body_of(record))[0] for record in records] == [200] * COUNT
    assert "answers are not recorded" in capsys.readouterr().err


def test_a_log_that_is_lost_while_serving_does_not_break_answering(tmp_path, model, records):
    log = tmp_path / "log"
    with serving(model, log, every=0.02) as service:
        for record in records[:2]:
            assert post(service.server_port, body_of(record))[0] == 200
        until = time.monotonic() + 10
        while service.recorder.counts.written < 2 and time.monotonic() < until:
            time.sleep(0.01)
        shutil.rmtree(log)
        log.write_text("a file", "utf-8")
        for record in records[2:]:
            assert post(service.server_port, body_of(record))[0] == 200
    counts = service.recorder.counts
    assert (counts.recorded, counts.written, counts.failed) == (COUNT, 2, COUNT - 2)
    said = service.recorder.last_failure
    assert any(words in said for words in ("cannot be written", "Not a directory", "File exists")), said


def test_what_redact_takes_away_is_answered_and_not_kept(tmp_path, model, records):
    with serving(model, tmp_path, redact=lambda entry: replace(entry, text=None, audio=None)) as service:
        _, said = post(service.server_port, body_of(records[0]))
    (row,) = rows(tmp_path)
    assert (row["id"], row["prediction"], row["present"]) == (records[0].id, said["prediction"], "image")
    assert not any(records[0].text.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_service_that_is_told_to_end_keeps_what_it_answered(tmp_path):
    command = [sys.executable, "-m", "tests.bench.service", "serve", str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline().rpartition(":")[2])
            status, said = post(port, json.dumps({"id": "last", "text": "it broke after two weeks"}).encode())
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert status == 200
    assert [(row["id"], row["prediction"]) for row in rows(tmp_path / "log")] == [("last", said["prediction"])]


def test_the_bench_prints_a_row_and_loses_nothing(model, records):
    cells = [cell.strip() for cell in row(model, "text", [body_of(r, ("text",)) for r in records]).split("|")[1:-1]]
    assert cells[:2] == ["text", str(COUNT)]
    assert cells[5] == "0"
    assert cells[6].endswith("+ 0")
