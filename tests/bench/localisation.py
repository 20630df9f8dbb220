"""Does a map point at the asked object? `python -m tests.bench.localisation --records FRESH/scene_qa [--seam input]`.

Over correctly answered scene questions that have a box, per question type, the image part of each map: pointing (the
strongest cell's centre lies in the asked object's box; chance: the share of cells whose centre does), touching (that
cell overlaps the box at all; chance: the share of cells that do), between (the centroid of the 3 x 3 cells around the
strongest lies in the box), distractor (its centre lies in another object's box),
relevance mass in the box (chance: its share of the area) and rank accuracy (share of the k strongest cells that lie in
the box, k = cells whose centre does). Scores are clamped to non-negative first.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fusion_core.attend import attention_scores
from fusion_core.attribute import method
from fusion_core.bundle import load
from fusion_core.intervals import wilson
from fusion_core.model import FusedModel
from fusion_core.question import Question, attribute
from fusion_core.reading.records import read
from fusion_core.types import Record, TokenAxis

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
Box = tuple[float, float, float, float]
MEANS = ("hit", "touching", "between", "distracted", "mass", "rank", "chance", "near", "area")


@dataclass(frozen=True)
class Pointed:
    """What one map of one record says about where the evidence is; every figure a share between 0 and 1."""

    hit: bool
    touching: bool
    between: bool
    distracted: bool
    mass: float
    rank: float
    chance: float
    near: float
    area: float


def boxes(record: Record) -> tuple[Box, list[Box]]:
    """Return the asked object's box and the other objects' boxes, in pixels."""
    asked = tuple(float(x) for x in str(record.meta["asked_box"]).split(","))
    reference = str(record.meta.get("reference_box") or "")
    every = [tuple(float(x) for x in entry.split()[2:]) for entry in str(record.meta["objects"]).split(";")]
    own = {asked, tuple(float(x) for x in reference.split(",")) if reference else asked}
    return asked, [box for box in every if box not in own]  # type: ignore[return-value]


def inside(axis: TokenAxis, box: Box) -> np.ndarray:
    """Return which cells have their centre in the box, `bool [T]`."""
    spans = np.asarray(axis.spans)
    x, y = (spans[:, 0] + spans[:, 2]) / 2, (spans[:, 1] + spans[:, 3]) / 2
    return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])


def overlap(axis: TokenAxis, box: Box) -> np.ndarray:
    """Return the share of each cell that the box covers, `[T]`."""
    x0, y0, x1, y1 = np.asarray(axis.spans, dtype=float).T
    wide = np.clip(np.minimum(x1, box[2]) - np.maximum(x0, box[0]), 0, None)
    tall = np.clip(np.minimum(y1, box[3]) - np.maximum(y0, box[1]), 0, None)
    return wide * tall / ((x1 - x0) * (y1 - y0))


def pointed(scores: np.ndarray, axis: TokenAxis, asked: Box, others: Sequence[Box]) -> Pointed | None:
    """Return where a map's image scores `[T]` point; None where no cell's centre lies in the box."""
    own, covered = inside(axis, asked), overlap(axis, asked)
    if not own.any():
        return None
    relevance = np.clip(scores, 0, None)
    strongest = int(np.argmax(relevance))
    most = np.argsort(-relevance, kind="stable")[: own.sum()]
    total = float(relevance.sum())
    return Pointed(
        hit=bool(own[strongest]),
        touching=bool(covered[strongest] > 0),
        between=_holds(asked, *_centroid(relevance, axis, strongest)),
        distracted=any(bool(inside(axis, box)[strongest]) for box in others),
        mass=float((relevance * covered).sum() / total) if total > 0 else float(covered.mean()),
        rank=float(own[most].mean()),
        chance=float(own.mean()),
        near=float((covered > 0).mean()),
        area=float(covered.mean()),
    )


def _centroid(relevance: np.ndarray, axis: TokenAxis, cell: int) -> tuple[float, float]:
    """Return the centre of gravity of a cell and those around it, in pixels."""
    spans = np.asarray(axis.spans, dtype=float)
    x, y = (spans[:, 0] + spans[:, 2]) / 2, (spans[:, 1] + spans[:, 3]) / 2
    wide, tall = spans[cell, 2] - spans[cell, 0], spans[cell, 3] - spans[cell, 1]
    weights = relevance * (np.abs(x - x[cell]) < 1.5 * wide) * (np.abs(y - y[cell]) < 1.5 * tall)
    total = max(float(weights.sum()), 1e-12)
    return float((weights * x).sum()) / total, float((weights * y).sum()) / total


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def maps(
    model: FusedModel, record: Record, strategy: str, methods: Sequence[str], seam: str
) -> Iterator[tuple[str, np.ndarray, TokenAxis]]:
    """Yield every map's image scores of a correctly answered record: attention views, then attribution methods."""
    inputs, tokens = model.encode_record(record)
    with torch.no_grad():
        answer = int(model.fuse(tokens, strategy).argmax())
    if model.classes[answer] != record.label:
        return
    axis = inputs.axes(0)["image"]
    if seam == "fusion":
        for view in attention_scores(model, tokens, strategy, answer):
            yield f"{view.method} attention", view.scores["image"], axis
    for name in methods:
        question = Question(method=name, seam=seam)  # type: ignore[arg-type]
        for found in attribute(model, inputs, tokens, strategy, str(record.label), question):
            if "image" in found.scores:
                yield name, found.scores["image"], axis


def table(found: Mapping[tuple[str, str], Mapping[str, list[Pointed]]]) -> list[str]:
    """Return the Markdown table, one row per strategy, map and question type."""
    names = "strategy, map, questions, n, pointing (95 % interval), chance, touching, chance, between, distractor"
    heading = [*names.split(", "), "mass in box", "area", "rank"]
    lines = [f"| {' | '.join(heading)} |", "|" + "---|" * len(heading)]
    for (strategy, name), kinds in found.items():
        for kind, each in kinds.items():
            low, high = wilson(sum(p.hit for p in each), len(each))
            mean = {f: float(np.mean([getattr(p, f) for p in each])) for f in MEANS}
            told = ("chance", "touching", "near", "between", "distracted", "mass", "area", "rank")
            cells = [strategy, name, kind, str(len(each)), f"{mean['hit']:.3f} ({low:.3f}-{high:.3f})"]
            lines.append(f"| {' | '.join([*cells, *(f'{mean[f]:.3f}' for f in told)])} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SAMPLES / "bundles" / "scene_qa")
    parser.add_argument("--records", type=Path, default=SAMPLES / "scene_qa" / "test")
    parser.add_argument("--strategies", default="cross_attention", help="names separated by commas")
    parser.add_argument("--methods", default="", help="names separated by commas (default: all)")
    parser.add_argument("--seam", default="fusion", choices=("fusion", "input"))
    parser.add_argument("--most", type=int, default=10_000, help="records to read")
    given = parser.parse_args()
    model = load(given.model)
    methods = [name for name in given.methods.split(",") if name] or list(method)
    found: dict[tuple[str, str], dict[str, list[Pointed]]] = defaultdict(lambda: defaultdict(list))
    for record in read(given.records).records[: given.most]:
        if not record.meta.get("asked_box"):
            continue
        asked, others = boxes(record)
        for strategy in given.strategies.split(","):
            for name, scores, axis in maps(model, record, strategy, methods, given.seam):
                where = pointed(scores, axis, asked, others)
                if where is not None:
                    for kind in (str(record.meta["question_type"]), "all"):
                        found[strategy, name][kind].append(where)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
