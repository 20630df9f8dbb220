"""Mismatched pairs and wrong labels: `python -m tests.bench.mismatch`. They show in one record where it asks for what
is not there (`scene_qa`), and only in many where modalities are independent witnesses (`feedback`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
from sklearn.metrics import roc_auc_score

from fusion_core.bundle import load
from fusion_core.diagnose.logged import logged_records
from fusion_core.diagnose.look import look
from fusion_core.diagnose.population import findings
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.reference_file import load_reference
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.rules import rule
from fusion_core.diagnose.run import Examined, case_of, examine_rows
from fusion_core.diagnose.signals import measure
from fusion_core.log.store import Store
from fusion_core.model import FusedModel
from fusion_core.reading.records import read
from fusion_core.types import Record
from tests.conftest import SAMPLES

PAIRS = 250
CLEAN, MIXED, DRAWS = 600, 60, 20
FIRST, DAYS, ONSET = date(2026, 1, 1), 56, 40
FALSE_ALARMS = 0.05


def raw(model: FusedModel, reference: Reference, name: str, records: Sequence[Record]) -> np.ndarray:
    """Return what a rule says of each record before its limit, `[N]`."""
    scores = []
    for record in records:
        seen, _ = look(model, record, reference.strategy)
        scores.append(rule[name].judge(case_of(reference, seen, measure(seen, reference.profile))).raw)
    return np.array(scores)


def absent_pairs(records: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Yield records with the picture of another one in which what is asked for is not."""
    random = np.random.default_rng(0)
    shapes = {word for r in records for _, word in _objects(r)}
    colours = {word for r in records for word, _ in _objects(r)}
    for record in records:
        if record.meta["question_type"] == "existence":
            continue
        words = [w if w in shapes | colours else w.rstrip("s") for w in re.findall("[a-z]+", str(record.text).lower())]
        asked = next((w for w in words if w in colours), None), next((w for w in words if w in shapes), None)
        for place in random.permutation(len(records))[:40]:
            other = records[place]
            if not any(asked[0] in (None, c) and asked[1] in (None, s) for c, s in _objects(other)):
                yield record, replace(record, image=other.image)
                break


def _objects(record: Record) -> list[tuple[str, str]]:
    return [(one.split()[0], one.split()[1]) for one in str(record.meta["objects"]).split("; ")]


def auc(bad: np.ndarray, good: np.ndarray) -> tuple[float, float]:
    """Return the area under the curve and its standard error (Hanley 1982)."""
    area = float(roc_auc_score(np.r_[np.ones(len(bad)), np.zeros(len(good))], np.r_[bad, good]))
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (len(bad) - 1) * (one - area**2) + (len(good) - 1) * (two - area**2)
    return area, float(np.sqrt(spread / (len(bad) * len(good))))


def line(what: str, area: float, error: float, count: int, more: str = "") -> None:
    print(f"| {what} | AUC {area:.3f} ± {error:.3f}{more} | {count} and {count} |", flush=True)


def one_record_at_a_time() -> None:
    bundle = SAMPLES / "bundles" / "scene_qa"
    model, reference = load(bundle), load_reference(bundle)
    records = read(SAMPLES / "scene_qa" / "test").records
    pairs = list(absent_pairs(records))[:PAIRS]
    clean = [record for record, _ in pairs]
    area, error = auc(raw(model, reference, "pair_mismatch", [bad for _, bad in pairs]),
                      raw(model, reference, "pair_mismatch", clean))  # fmt: skip
    line("`scene_qa`, the object asked for is absent", area, error, len(pairs))
    random = np.random.default_rng(1)
    flipped = [
        replace(r, label=str(random.choice([c for c in model.classes if c != r.label and _kind(c) == _kind(r.label)])))
        for r in clean
    ]
    area, error = auc(raw(model, reference, "label_wrong", flipped), raw(model, reference, "label_wrong", clean))
    line("`scene_qa`, the label is another of its kind", area, error, len(clean))


def _kind(label: str | None) -> str:
    return "yes or no" if label in ("yes", "no") else "number" if str(label).isdigit() else "word"


def ceiling() -> None:
    """Print what an oracle that knows every modality's class reaches on shuffled partners of `feedback`, per record."""
    lines = (SAMPLES / "feedback" / "test" / "metadata.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    random = np.random.default_rng(2)
    clean = [(r["text_class"], r["image_class"], r["label"]) for r in rows]
    other = random.permutation(len(rows))
    mixed = [(rows[k]["text_class"], rows[o]["image_class"], rows[o]["label"]) for k, o in enumerate(other)]
    # The likelihood ratio of a pattern of classes, from the recipe itself: nothing can tell more from classes alone.
    patterns = {p: (mixed.count(p) + 0.5) / (clean.count(p) + 0.5) for p in {*clean, *mixed}}
    good, bad = (np.array([patterns[p] for p in each]) for each in (clean, mixed))
    limit = np.quantile(good, 1 - FALSE_ALARMS)
    area, error = auc(bad, good)
    found = f"; recall {(bad > limit).mean():.2f} at {(good > limit).mean():.0%} false alarms"
    line("`feedback`, an oracle of every modality's class", area, error, len(rows), found)


def among_many() -> None:
    """Print how often 60 mixed-up records in one of four slices, from day 40 of 56 on, are found: slice and day."""
    bundle = SAMPLES / "bundles" / "feedback"
    model, reference = load(bundle), load_reference(bundle)
    truth = json.loads((SAMPLES / "production_truth.json").read_text("utf-8"))
    met = {id for entry in truth["incidents"] for id in entry["record_ids"]} | set(truth["accidents"])
    with Store(SAMPLES / "production", "feedback") as store:
        every = [record for record, _ in logged_records(store, reference.strategy) if isinstance(record, Record)]
    clean = [record for record in every if record.id not in met][:CLEAN]
    ring = [replace(a, id=f"m{k}", image=b.image, audio=b.audio)
            for k, (a, b) in enumerate(zip(clean[:MIXED], [*clean[1:MIXED], clean[0]], strict=True))]  # fmt: skip
    seen = [
        one.row() for one in examine_rows(model, reference, [*clean, *ring], repair=False) if isinstance(one, Examined)
    ]
    for labels in (True, False):
        slices, off = 0, []
        for draw in range(DRAWS):
            found = [f for f in findings(_dealt(seen, draw, labels), reference) if f.fault == "mismatched"]
            right = [f for f in found if f.slice == {"slice": "a"}]
            slices += bool(right)
            off += [abs((date.fromisoformat(f.since) - FIRST).days - ONSET) for f in right if f.since]
        what = f"`feedback`, {MIXED} mixed-up records in a slice, {'with' if labels else 'without'} labels"
        days = ", ".join(f"within {n} in {sum(d <= n for d in off)}" for n in (1, 3))
        told = f"right slice in {slices} of {DRAWS} draws; first day {days}"
        print(f"| {what} | {told} | {len(seen):,} |", flush=True)


def _dealt(rows: Sequence[Row], draw: int, labels: bool) -> list[Row]:
    """Return the rows on random days and in random slices, the mixed-up ones alone in slice a from their day on."""
    random = np.random.default_rng(draw)
    dealt = []
    for row in rows:
        mixed = row.id.startswith("m")
        place = "a" if mixed else "abcd"[random.integers(4)]
        day = int(random.integers(ONSET, DAYS) if mixed else random.integers(ONSET if place == "a" else DAYS))
        time = datetime(FIRST.year, FIRST.month, FIRST.day, 12) + timedelta(days=day)
        known = row.correct if labels and random.random() < 0.75 else None
        dealt.append(replace(row, timestamp=time, columns={"slice": place}, correct=known))
    return dealt


def main() -> None:
    print("| what | how well it is told | records |\n|---|---|---|")
    one_record_at_a_time()
    ceiling()
    among_many()


if __name__ == "__main__":
    main()
