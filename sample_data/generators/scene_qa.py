"""Record set `scene_qa`: questions whose answer needs the picture and the words together."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from sample_data.generators.scene_paint import paint
from sample_data.generators.scene_questions import ASKERS, Question
from sample_data.generators.scenes import Scene, SceneObject, sample_scene

SHARE_OF_THREE_QUESTIONS = 0.65


def build(out: Path, *, questions: int, seed: int, split: str = "test") -> None:
    """Write `metadata.jsonl` and `images/` to `out`; `split` only names ids and files.

    Question types take turns, answers are kept even (and directions, for relations), and two
    seeds share no scene.
    """
    rng = random.Random(seed)
    (out / "images").mkdir(parents=True, exist_ok=True)
    used: Counter[tuple[str, ...]] = Counter()
    rows: list[dict[str, Any]] = []
    number = 0
    while len(rows) < questions:
        number += 1
        wanted = min(3 if rng.random() < SHARE_OF_THREE_QUESTIONS else 2, questions - len(rows))
        scene, asked = _scene_with_questions(_kinds(len(rows), wanted), used, rng)
        name = f"{split}-{number:04d}"
        save_picture(paint(scene), out / "images" / f"{name}.webp")
        rows += [_row(question, scene, name) for question in asked]
    with (out / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        for index, row in enumerate(rows, start=1):
            lines.write(json.dumps({"id": f"sq-{split}-{index:04d}", **row}) + "\n")


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write lossless WebP: half the size of PNG on flat shapes, and no colour is smeared."""
    picture.save(path, format="WEBP", lossless=True, quality=100, method=4)


def _kinds(start: int, count: int) -> list[str]:
    """Question types by turns, so that each gets a third of the records."""
    names = tuple(ASKERS)
    return [names[(start + step) % len(names)] for step in range(count)]


def _scene_with_questions(
    kinds: list[str], used: Counter[tuple[str, ...]], rng: random.Random
) -> tuple[Scene, list[Question]]:
    """Draw scenes until one allows a question of every type; ask what was asked least."""
    while True:
        scene = sample_scene(rng)
        offers = [ASKERS[kind](scene, rng) for kind in kinds]
        if not all(offers):
            continue
        asked = [
            min(offer, key=lambda question: (used[question.balance], rng.random()))
            for offer in offers
        ]
        used.update(question.balance for question in asked)
        return scene, asked


def _row(question: Question, scene: Scene, name: str) -> dict[str, Any]:
    return {
        "text": question.text,
        "image_file_name": f"images/{name}.webp",
        "label": question.answer,
        "question_type": question.kind,
        "asked_box": _box_text(question.asked),
        "reference_box": _box_text(question.reference),
        "objects": "; ".join(_object_text(item) for item in scene.objects),
        "scene": name,
    }


def _box_text(item: SceneObject | None) -> str:
    return ",".join(map(str, item.box)) if item else ""


def _object_text(item: SceneObject) -> str:
    return " ".join([item.colour, item.shape, *map(str, item.box)])
