"""The scene questions: balanced, unambiguous, and the same bytes on every build."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from sample_data.generators import scene_qa
from sample_data.generators.scenes import COLOURS, OUTLINES, SIDE

QUESTIONS = 450
AWAY = {
    "left": (-1, 0), "right": (1, 0), "above": (0, -1),
    "over": (0, -1), "below": (0, 1), "under": (0, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "test"
    scene_qa.build(out, questions=QUESTIONS, seed=7)
    return out


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict]:
    return read(folder)


def read(folder: Path) -> list[dict]:
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def objects(row: dict) -> list[dict]:
    found = []
    for part in row["objects"].split("; "):
        colour, shape, *box = part.split()
        found.append({"colour": colour, "shape": shape, "box": [int(value) for value in box]})
    return found


def centre(item: dict) -> tuple[float, float]:
    x0, y0, x1, y1 = item["box"]
    return (x0 + x1) / 2, (y0 + y1) / 2


def named(words: list[str], names: dict) -> list[str]:
    return [word for word in words if word in names]


def derived_answer(row: dict) -> tuple[str, dict | None]:
    """The answer and the object behind it, from the words and the object list alone."""
    words = re.findall(r"[a-z]+", row["text"].lower())
    colours, shapes = named(words, COLOURS), named(words, OUTLINES)
    if not colours:
        (asked,) = [item for item in objects(row) if item["shape"] == shapes[0]]
        return asked["colour"], asked
    matching = [item for item in objects(row) if (item["colour"], item["shape"]) == (colours[0], shapes[0])]
    directions = [word for word in words if word in AWAY]
    if not directions:
        return ("yes", matching[0]) if matching else ("no", None)
    (reference,) = matching
    step_x, step_y = AWAY[directions[0]]
    (answer,) = [
        item
        for item in objects(row)
        if (centre(item)[0] - centre(reference)[0]) * step_x + (centre(item)[1] - centre(reference)[1]) * step_y > 0
    ]
    return answer["shape"], answer


def test_every_answer_follows_from_the_objects(rows: list[dict]) -> None:
    for row in rows:
        answer, asked = derived_answer(row)
        assert answer == row["label"], row
        assert row["asked_box"] == (",".join(map(str, asked["box"])) if asked else ""), row


def test_each_question_type_has_a_quarter_to_two_fifths(rows: list[dict]) -> None:
    counts = Counter(row["question_type"] for row in rows)
    assert set(counts) == {"colour", "existence", "relation"}
    assert all(0.25 <= count / QUESTIONS <= 0.40 for count in counts.values())


def test_yes_and_no_are_even(rows: list[dict]) -> None:
    counts = Counter(row["label"] for row in rows if row["question_type"] == "existence")
    assert abs(counts["yes"] / counts.total() - 0.5) <= 0.02


@pytest.mark.parametrize(("kind", "names"), [("colour", COLOURS), ("relation", OUTLINES)])
def test_answers_are_spread_evenly(rows: list[dict], kind: str, names: dict) -> None:
    counts = Counter(row["label"] for row in rows if row["question_type"] == kind)
    assert set(counts) == set(names)
    assert max(counts.values()) / counts.total() < 0.22


def test_knowing_colour_and_shape_apart_does_not_answer_existence(rows: list[dict]) -> None:
    right = total = 0
    for row in rows:
        if row["question_type"] == "existence":
            words = re.findall(r"[a-z]+", row["text"].lower())
            colours = {item["colour"] for item in objects(row)}
            shapes = {item["shape"] for item in objects(row)}
            both = named(words, COLOURS)[0] in colours and named(words, OUTLINES)[0] in shapes
            right += both == (row["label"] == "yes")
            total += 1
    assert right / total < 0.62


def test_a_reference_is_boxed_for_relations_only(rows: list[dict]) -> None:
    assert all((row["reference_box"] != "") == (row["question_type"] == "relation") for row in rows)


def test_every_type_is_worded_in_five_ways_or_more(rows: list[dict]) -> None:
    frames: dict[str, set[str]] = {}
    for row in rows:
        frame = re.sub("|".join([*COLOURS, *OUTLINES, *AWAY]), "_", row["text"])
        frames.setdefault(row["question_type"], set()).add(frame)
    assert all(len(wordings) >= 5 for wordings in frames.values())


def test_boxes_lie_in_the_picture_and_apart(rows: list[dict]) -> None:
    for row in rows:
        items = objects(row)
        for index, first in enumerate(items):
            x0, y0, x1, y1 = first["box"]
            assert 0 <= x0 < x1 <= SIDE
            assert 0 <= y0 < y1 <= SIDE
            for second in items[:index]:
                u0, v0, u1, v1 = second["box"]
                assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0


def test_the_named_colour_is_at_the_middle_of_every_object(folder: Path, rows: list[dict]) -> None:
    for row in rows[::5]:
        picture = Image.open(folder / row["image_file_name"]).convert("RGB")
        assert picture.size == (SIDE, SIDE)
        for item in objects(row):
            x, y = centre(item)
            pixel = picture.getpixel((round(x), round(y)))
            nearest = min(
                COLOURS,
                key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], pixel, strict=True)),
            )
            assert nearest == item["colour"], row


def test_two_seeds_share_no_scene(tmp_path: Path, rows: list[dict]) -> None:
    scene_qa.build(tmp_path, questions=120, seed=8)
    assert not {row["objects"] for row in rows} & {row["objects"] for row in read(tmp_path)}


def test_a_second_build_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        scene_qa.build(tmp_path / name, questions=30, seed=9)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
