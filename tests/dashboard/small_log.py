"""A small prediction log of real media with made-up answers: what Triage is tested on."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from fusion_core.log.diagnosed import CAUSES, Diagnosed, save_diagnosis
from fusion_core.log.entries import keep_by_content
from fusion_core.log.parts import create_run, rows_table, write_part
from fusion_core.log.runs import run_folder
from fusion_core.log.schema import ERRORS, Logged, Run
from fusion_core.reading.media import read_media
from fusion_core.reading.records import read
from fusion_core.types import Finding
from tests.conftest import SAMPLES

CLASSES = ("negative", "neutral", "positive")
ROWS, PER_DAY = 120, 10
START = datetime(2026, 5, 1, 8)
BLANK = Finding(
    rule="image_missing",
    modality="image",
    fault="missing",
    severity=0.9,
    message="Image missing in 100% of 15 records where region is <b>north</b> since 2026-05-07; 0.0% of all others.",
    advice="Look at the image's service.",
    record_ids=("r061",),
    lift=40.0,
    since="2026-05-07",
    slice={"region": "<b>north</b>"},
)
DRIFT = Finding("drift", "audio", "out_of_domain", 0.3, "audio.floor drifted.", "Compare.", ())


def is_blank(k: int) -> bool:
    """Whether row k meets the one incident there is."""
    return k >= 60 and k % 4 == 1


def make_log(log: Path, labelled: bool = True, diagnosed: bool = True, rows: int = ROWS, errors: int = 0) -> Path:
    """Write rows, ten a day, with two releases and three regions; every third answer is wrong."""
    records = read(SAMPLES / "feedback" / "test").records[:6]
    kept = [[keep_by_content(log, read_media(m)) for m in (r.image, r.audio)] for r in records]
    run = Run(
        "service", CLASSES, ("text", "image", "audio"), {"region": "text", "age": "number"}, "recorder", "feedback"
    )
    create_run(log, run)
    write_part(run_folder(log, "service"), "parts", rows_table([_row(k, kept, labelled) for k in range(rows)], run), 0)
    if errors:
        lost = [
            {"id": f"e{k}", "strategy": None, "timestamp": START + timedelta(hours=k), "release": "1.0",
             "code": "image_damaged", "message": "the image is cut"} for k in range(errors)
        ]  # fmt: skip
        write_part(run_folder(log, "service"), "errors", pa.Table.from_pylist(lost, schema=ERRORS), 0)
    if diagnosed:
        _diagnose(log)
    return log


def _row(k: int, kept: list[list[str]], labelled: bool) -> Logged:
    image, audio = kept[k % 6]
    wrong = k % 3 == 0
    return Logged(
        id=f"r{k:03d}",
        strategy="gated",
        prediction=CLASSES[k % 3],
        confidence=0.5 + k / 400,
        timestamp=START + timedelta(days=k // PER_DAY, minutes=k % PER_DAY),
        release="1.0" if k < 60 else "1.1",
        label=CLASSES[(k + wrong) % 3] if labelled and k % 4 else None,
        present=("text", "image", "audio"),
        text=None if k == 7 else f"row {k} says ![x](http://127.0.0.1/x) <script>alert(1)</script>",
        image=image,
        audio=audio,
        slices={"region": ("south", "<b>north</b>", "east", None)[k % 4], "age": float(k % 50)},
    )


def _diagnose(log: Path) -> None:
    blank = [is_blank(k) for k in range(ROWS)]
    rows = {
        "id": [f"r{k:03d}" for k in range(ROWS)],
        "strategy": ["gated"] * ROWS,
        "cause": ["image missing" if b else "none none" for b in blank],
        "score": [0.9] * ROWS,
        "rule": ["image_missing" if b else "" for b in blank],
        "said": ["The image is one colour." if b else "" for b in blank],
        "x": [float(k) if k % 3 == 0 else None for k in range(ROWS)],
        "y": [float(k % 7) if k % 3 == 0 else None for k in range(ROWS)],
        "cluster": [k % 2 if k % 3 == 0 else None for k in range(ROWS)],
    }
    causes = pa.table(rows, schema=CAUSES)
    save_diagnosis(run_folder(log, "service"), causes, Diagnosed("service", "gated", "m", ROWS, 0, (BLANK, DRIFT)))
