"""A case file: opens from disk without network or script, says what the trace says, and lets nothing in it run."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fusion_core import __version__
from fusion_core.bundle import load
from fusion_core.cli import main
from fusion_core.errors import CallError
from fusion_core.question import Question
from fusion_core.reading.records import read
from fusion_core.report import gather, page, write_page
from fusion_core.report.markup import Markup, safe, tag
from fusion_core.types import Failure, Media, Record
from fusion_core.words import plain, signed
from tests.conftest import ROOT, SAMPLES

BUNDLE = SAMPLES / "bundles" / "feedback"
TEST = SAMPLES / "feedback" / "test"
DATE = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
VOID = {"meta", "use", "rect", "line", "path", "polyline", "polygon", "image"}
SCRIPT = "<script>alert(1)</script>"
HOSTILE = Record(
    id=f"\"'>{SCRIPT}",
    text=f"good\u202e camera {SCRIPT} </style><img src=x onerror=alert(2)> \x00 bad",
    label="</title><b>",
    meta={"<i>slice": "\u2066 & \"quoted'"},
    flags=("<u>flag",),
)


class Elements(HTMLParser):
    """Every element of a page with its attributes, the text of the page, and whether it closes what it opens."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.balanced, self.words = True, ""
        self.feed(html)
        self.balanced = self.balanced and not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            self.balanced = self.balanced and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words += data


@pytest.fixture(scope="module")
def model():
    return load(BUNDLE)


@pytest.fixture(scope="module")
def case(model):
    record = read(TEST).find("fb-test-0001")
    return gather(model, record, ["cross_attention"], Question(judge=True), DATE, BUNDLE)


@pytest.fixture(scope="module")
def hostile(model):
    return gather(model, HOSTILE, ["cross_attention"], Question(), DATE, BUNDLE)


@pytest.fixture(scope="module")
def every(model):
    return gather(model, read(TEST).find("fb-test-0002"), model.strategies, Question(), DATE, BUNDLE)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main([str(a) for a in ("report", "--model", BUNDLE, "--records", TEST, *arguments)])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return call


def test_it_holds_nothing_that_runs_and_nothing_that_is_fetched(case, every, hostile):
    for one in (case, every, hostile):
        html = page(one)
        elements = Elements(html)
        assert elements.balanced
        assert not {"script", "iframe", "link", "object", "form", "base", "img"} & {name for name, _ in elements.found}
        for _, attributes in elements.found:
            assert not any(key.startswith("on") or key == "style" for key in attributes)
            for key in ("src", "href"):
                assert attributes.get(key, "#").startswith(("#", "data:image/webp", "data:audio/wav"))
        assert "http://" not in html
        assert "https://" not in html
        assert str(ROOT) not in html
        assert str(Path.home()) not in html


def test_its_policy_allows_embedded_media_and_its_own_style_alone(case):
    html = page(case)
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', html)[1]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert html.index("Content-Security-Policy") < html.index("<title>")


def test_a_hostile_record_is_shown_and_does_nothing(hostile):
    extra = replace(hostile, sections=((f"Diagnosis {SCRIPT}", [(SCRIPT, "\u202e<b>")]),))
    html = page(extra)
    assert not any(mark in html for mark in ("<script", "<img", "<b>slice", "\u202e", "\u2066", "\x00", "<u>", "<i>"))
    assert "&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in html
    words = Elements(html).words
    assert f"good⟨U+202E⟩ camera {SCRIPT} </style><img src=x onerror=alert(2)> ␀ bad" in words
    assert f"Diagnosis {SCRIPT}" in words
    assert "(no class of this model)" in words
    assert html.count("no image in this record") == html.count("no audio in this record") >= 2


def test_what_is_no_markup_is_escaped_wherever_it_stands():
    assert safe("a<b>\x00") == "a&lt;b&gt;␀"
    assert tag("p", "<", Markup("<b>x</b>"), class_='"', title="<&") == (
        '<p class="&quot;" title="&lt;&amp;">&lt;<b>x</b></p>'
    )


def numbers(html: str) -> list[float]:
    return [float(value) for value in re.findall(r'<data value="([^"]+)">', html)]


def test_its_numbers_are_those_of_the_trace(case):
    html, (trace,) = page(case), case.traces
    words, ledger = Elements(html).words, trace.ledger
    exact = numbers(html)
    assert trace.prediction.confidence in exact
    for m, value in ledger.contributions.items():
        assert value in exact
        assert f"± {2 * ledger.standard_errors[m]:.2f}" in words
    assert set(ledger.interactions.values()) | {ledger.three_way, ledger.full, ledger.base} <= set(exact)
    shown = [value for value in exact if value in ledger.contributions.values()]
    assert sum(shown) == pytest.approx(ledger.full - ledger.base, abs=1e-4)
    for reading in (*ledger.alone.values(), *ledger.without.values()):
        assert f"{reading.top} {plain(reading.probability, 2)}" in words
    (found,) = trace.attributions
    for scores in found.scores.values():
        assert float(scores.sum()) in exact
        assert all(f" {signed(float(v), 4)}" in words for v in scores)
    for one in (found, *trace.scores):
        for judged in one.faithfulness:
            assert {judged.deletion.area, judged.insertion.area, judged.comprehensiveness, judged.sensitivity} <= {
                *exact
            }
    assert all(check.sentence in words for check in trace.checks)


def test_the_printed_sum_adds_up(case):
    line = re.search(r"Sum ([^=]+) = (\S+) = full (\S+) − base (\S+?)Exact", Elements(page(case)).words)
    parts, total, full, base = (part.replace("−", "-").strip("()") for part in line.groups())
    assert sum(map(float, parts.replace("- ", "-").replace("+ ", "").split())) == pytest.approx(float(total), abs=1e-9)
    assert float(full) - float(base) == pytest.approx(float(total), abs=1e-9)


def test_it_says_how_it_was_made(case):
    words = Elements(page(case)).words
    digest = hashlib.sha256((BUNDLE / "model.json").read_bytes()).hexdigest()
    for said in (digest, "seed0", "donors32", "marginal donors", f"fusion_core{__version__}", "2026-11-25 16:00 UTC"):
        assert said in words
    assert f"{case.traces[0].cost.forwards:,} forward passes" in words
    assert __version__ == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_attention_is_told_with_whether_it_matters_and_never_as_importance(case):
    words = Elements(page(case)).words
    check = next(c for c in case.traces[0].checks if c.name == "attention_matters")
    assert f"{check.sentence[1:]}." in words
    assert "not why it answers" in words
    assert "importan" not in words.lower()
    assert all(name in words for name in ("raw", "rollout", "relevancy"))


def test_every_strategy_has_its_row_and_its_part(every, model):
    html = page(every)
    for row, name in zip(every.rows, model.strategies, strict=True):
        assert f'id="strategy-{name}"' in html
        assert f'href="#strategy-{name}"' in html
        assert row.fitted.strategy == name
        assert row.prediction.confidence in numbers(html)
        assert row.fitted.validation_accuracy in numbers(html)
    assert every.traces[0].strategy == model.default_strategy
    assert "Late fusion averages each modality" in html
    assert len(html.encode()) < 1_000_000


def test_a_strategy_at_chance_level_gives_no_answer_and_no_map(case):
    rows = tuple(replace(row, fitted=replace(row.fitted, status="chance")) for row in case.rows)
    html = page(replace(case, rows=rows, traces=(replace(case.traces[0], status="chance"),)))
    words = Elements(html).words
    assert words.count("at chance level – not an answer") == len(rows)
    assert "No answer: cross-attention is at chance level" in words
    assert "Predicted" not in words
    assert "Attribution to" not in words
    assert "read nothing into these numbers" in words
    assert "Alone and without" not in words
    assert case.traces[0].prediction.confidence not in numbers(html)


def test_what_is_not_finite_is_said(case):
    trace = case.traces[0]
    scores = {m: np.where(np.arange(len(v)) == 0, np.nan, v) for m, v in trace.attributions[0].scores.items()}
    broken = replace(
        trace,
        ledgers={trace.target: replace(trace.ledger, full=float("nan"))},
        attributions=(replace(trace.attributions[0], scores=scores, faithfulness=()),),
    )
    failure = Failure(case.record.id, "late", "nonfinite_output", "late answered with NaN or infinity")
    rows = (replace(case.rows[0], prediction=None), *case.rows[1:])
    words = Elements(page(replace(case, traces=(broken,), failures=(failure,), rows=rows))).words
    for said in ("No ledger", "3 without a finite score", "no finite answer", failure.message, "not tested"):
        assert said in words
    assert "nan" not in words.replace(failure.message, "").lower().split()


def test_a_file_is_named_without_the_folders_it_once_lay_in(case):
    media = Media("0" * 64, "/home/somebody/secret/picture.png")
    html = page(replace(case, record=replace(case.record, image=media)))
    assert "picture.png" in html
    assert "somebody" not in html


def test_the_command_writes_the_same_bytes_twice(run, tmp_path):
    sizes = []
    for name in ("a.html", "b.html"):
        code, (line,), _ = run("--id", "fb-test-0003", "--out", tmp_path / name, "--date", "2026-11-25")
        assert code == 0
        assert list(line) == ["kind", "id", "strategy", "out", "bytes"]
        assert (line["kind"], line["id"], line["out"]) == ("report", "fb-test-0003", str(tmp_path / name))
        sizes.append(line["bytes"])
    first, second = ((tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second
    assert sizes == [len(first)] * 2
    assert len(first) < 1_000_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


@pytest.mark.parametrize("out", ["", "no/such/case.html", "x" * 300])
def test_where_no_file_can_be_is_refused_before_any_work(run, tmp_path, out):
    code, lines, err = run("--id", "fb-test-0001", "--out", tmp_path / out)
    assert (code, lines) == (2, [])
    assert len(err.strip().splitlines()) == 1
    assert str(tmp_path.parent) not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--id", "nobody"), "no record 'nobody'"),
        (("--id", "fb-test-0001", "--date", "soon"), "'soon' is no date"),
        # Under a strategy with attention, whose scores ask for the class too.
        (("--id", "fb-test-0001", "--strategy", "early", "--target", "joy"), "unknown target class 'joy'"),
    ],
)
def test_a_call_that_cannot_be_used_is_told_and_writes_nothing(run, tmp_path, arguments, sentence):
    code, lines, err = run(*arguments, "--out", tmp_path / "case.html")
    assert (code, lines) == (2, [])
    assert sentence in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    out = tmp_path / "case.html"
    out.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CallError, match="cannot be written: No space left"):
        write_page("after", out)
    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]


WIDER = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
HEARD = "document.querySelector('audio') ? document.querySelector('audio').duration : null"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["case", "hostile"])
def test_it_opens_from_disk_without_network_at_every_width(browser, tmp_path, which, scheme, request):
    case = request.getfixturevalue(which)
    path = tmp_path / "case.html"
    write_page(page(case), path)
    context = browser.new_context(color_scheme=scheme, offline=True, viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    complaints, asked = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
    opened.on("request", lambda one: asked.append(one.url))
    opened.goto(path.as_uri())
    for width in (1440, 1000, 760, 720, 420):
        opened.set_viewport_size({"width": width, "height": 900})
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        assert opened.evaluate(WIDER) == 0
    if case.sound is not None:
        opened.wait_for_function("document.querySelector('audio').readyState > 0")
        assert opened.evaluate(HEARD) == pytest.approx(case.sound.playable, abs=0.01)
        drawn = opened.locator("svg.picture").first.screenshot()
        assert len(drawn) > 5_000  # a picture, and not the empty ground
    assert complaints == []
    assert asked == [path.as_uri()]
    context.close()
