"""Similar records: known answers on hand-made vectors, and the file beside the records."""

from __future__ import annotations

import math

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fusion_core.answers import Answer
from fusion_core.errors import CallError
from fusion_core.neighbours import FILE_NAME, FusedIndex, build_index, index_vectors, load_index, save_index
from fusion_core.types import Failure, Prediction, Record

CROSS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
NAMES = ("east", "north", "west", "south")
NORTH_OF_EAST = np.array([math.cos(math.pi / 6), math.sin(math.pi / 6)], np.float32)


def scattered(count=50, width=16, seed=0):
    rows = np.random.default_rng(seed).normal(3.0, 1.0, (count, width)).astype(np.float32)
    return tuple(f"r{k}" for k in range(count)), rows


def ids(neighbours):
    return [n.id for n in neighbours]


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("shift", [0.0, 20.0])
def test_similarity_is_the_cosine_from_the_mean_however_the_space_is_turned_scaled_or_shifted(angle, scale, shift):
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32)
    moved = (CROSS @ turn.T + shift) * np.float32(scale)
    near = index_vectors(NAMES, {"late": moved}).nearest("late", (5 * NORTH_OF_EAST @ turn.T + shift) * scale, 4)
    assert ids(near) == ["east", "north", "south", "west"]
    assert [n.similarity for n in near] == pytest.approx([0.866, 0.5, -0.5, -0.866], abs=5e-4)


def test_a_record_is_its_own_nearest_neighbour_unless_it_is_left_out():
    names, rows = scattered()
    index = index_vectors(names, {"early": rows})
    for name, row in zip(names, rows, strict=True):
        first, *others = index.nearest("early", row, 5)
        assert (first.id, first.similarity) == (name, 1.0)
        left = index.nearest("early", row, 4, leave_out_id=name)
        assert left == others


def test_equal_records_stand_in_the_order_of_the_index():
    names, rows = scattered(300, 96)
    rows[[17, 101, 255]] = rows[4]
    near = index_vectors(names, {"early": rows}).nearest("early", rows[101], 4)
    assert ids(near) == ["r4", "r17", "r101", "r255"]
    assert {n.similarity for n in near} == {1.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_vector_that_is_not_finite_is_never_returned_and_does_not_move_the_mean(bad):
    rows = np.vstack([CROSS, [[bad, 1.0]]]).astype(np.float32)
    index = index_vectors((*NAMES, "broken"), {"late": rows})
    assert ids(index.nearest("late", NORTH_OF_EAST, 9)) == ["east", "north", "south", "west"]
    assert index.means["late"].tolist() == [0.0, 0.0]
    assert index.nearest("late", np.array([bad, 1.0], np.float32), 9) == []


def test_a_vector_at_the_mean_points_nowhere():
    alike = np.full((7, 3), 0.1, np.float32)
    assert index_vectors(tuple("abcdefg"), {"late": alike}).nearest("late", alike[0] * 2, 3) == []
    index = index_vectors((*NAMES, "middle"), {"late": np.vstack([CROSS, [[0, 0]]]).astype(np.float32)})
    assert "middle" not in ids(index.nearest("late", NORTH_OF_EAST, 9))
    assert index.nearest("late", np.zeros(2, np.float32), 9) == []


@pytest.mark.parametrize("k", [-1, 0, 1, 3, 4, 99])
def test_no_more_are_returned_than_were_asked_for_or_than_there_are(k):
    near = index_vectors(NAMES, {"late": CROSS}).nearest("late", NORTH_OF_EAST, k)
    assert len(near) == min(max(k, 0), 4)


def test_an_empty_index_and_a_strategy_it_lacks_have_no_neighbours():
    assert build_index([]).nearest("late", NORTH_OF_EAST, 3) == []
    assert index_vectors((), {"late": np.zeros((0, 2), np.float32)}).nearest("late", NORTH_OF_EAST, 3) == []
    assert index_vectors(NAMES, {"late": CROSS}).nearest("early", NORTH_OF_EAST, 3) == []


def test_a_vector_of_another_width_is_named_with_what_was_wanted():
    with pytest.raises(CallError, match=r"shape \[3\] was given but the index of 'late' holds \[2\]"):
        index_vectors(NAMES, {"late": CROSS}).nearest("late", np.zeros(3, np.float32), 1)


def answered(id, strategy, vector):
    prediction = Prediction(np.array([0.3, 0.7]), ("no", "yes"), None)
    return Answer(Record(id), strategy, prediction, ("text",), (), np.asarray(vector, np.float32))


def test_an_index_follows_the_answers_and_leaves_failures_out():
    answers = [
        answered("a", "late", [1, 0]),
        answered("a", "early", [0, 1, 1]),
        Failure("unreadable", None, "image_damaged", "no"),
        answered("b", "late", [-1, 0]),
        Failure("b", "early", "nonfinite_output", "NaN"),
        answered("c", "late", [0, 3]),
        answered("c", "early", [1, 0, 1]),
    ]
    index = build_index(answers)
    assert index.ids == ("a", "b", "c")
    assert ids(index.nearest("early", np.array([0, 1, 1], np.float32), 9)) == ["a", "c"]
    assert set(ids(index.nearest("late", np.array([1, 0], np.float32), 9))) == {"a", "b", "c"}


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path):
    bundle, records = tmp_path / "bundle", tmp_path / "records"
    bundle.mkdir()
    records.mkdir()
    (bundle / "model.json").write_text("{}")
    (records / "metadata.jsonl").write_text('{"id": "r0"}\n')
    return bundle, records


@pytest.fixture
def saved(places):
    names, rows = scattered()
    index = index_vectors(names, {"early": rows, "late": np.ascontiguousarray(rows[:, :2])})
    save_index(index, *places)
    return index


def test_a_saved_index_is_the_same_index(places, saved):
    found = load_index(*places)
    assert found is not None
    assert found.ids == saved.ids
    for name in ("early", "late"):
        assert found.means[name].tobytes() == saved.means[name].tobytes()
        assert found.units[name].tobytes() == saved.units[name].tobytes()
    first = (places[1] / FILE_NAME).read_bytes()
    save_index(found, *places)
    assert (places[1] / FILE_NAME).read_bytes() == first


def test_an_empty_index_can_be_saved(places):
    save_index(build_index([]), *places)
    assert load_index(*places) == FusedIndex((), {}, {})


@pytest.mark.parametrize("which", ["bundle/model.json", "records/metadata.jsonl"])
def test_an_index_of_another_model_or_of_other_records_is_ignored(places, saved, which):
    (places[0].parent / which).write_text('{"changed": 1}')
    assert load_index(*places) is None
    (places[0].parent / which).unlink()
    assert load_index(*places) is None


def test_where_there_is_no_index_there_is_none(places):
    assert load_index(*places) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", b"\xff" * 64, b"{}" * 40])
def test_a_file_that_is_no_index_is_ignored(places, content):
    (places[1] / FILE_NAME).write_bytes(content)
    assert load_index(*places) is None


@pytest.mark.parametrize("cut", [4, 200, 2000, -1])
def test_a_cut_file_is_ignored(places, saved, cut):
    path = places[1] / FILE_NAME
    path.write_bytes(path.read_bytes()[:cut])
    assert load_index(*places) is None


def without_a_mean(tensors):
    del tensors["late.mean"]


def narrower(tensors):
    tensors["late.mean"] = tensors["late.mean"][:1].copy()


def shorter(tensors):
    tensors["late.units"] = tensors["late.units"][:-1].copy()


def of_whole_numbers(tensors):
    tensors["late.units"] = tensors["late.units"].astype(np.int64)


@pytest.mark.parametrize("harm", [without_a_mean, narrower, shorter, of_whole_numbers])
def test_tensors_that_do_not_belong_together_are_ignored(places, saved, harm):
    path = places[1] / FILE_NAME
    about, tensors = header(path), load_file(path)
    harm(tensors)
    save_file(tensors, path, about)
    assert load_index(*places) is None


@pytest.mark.parametrize("about", [None, {}, {"index": "["}, {"index": "[]"}, {"index": "{}"}, {"index": '{"ids": 3}'}])
def test_a_file_that_does_not_say_what_it_is_is_ignored(places, saved, about):
    path = places[1] / FILE_NAME
    save_file(load_file(path), path, about)
    assert load_index(*places) is None


@pytest.mark.parametrize("change", [('"r1"', '"r0"'), ('"r1"', "1"), ('"r1"', "[]"), ('"format": 1', '"format": 0')])
def test_ids_twice_ids_that_are_no_text_and_other_formats_are_ignored(places, saved, change):
    path = places[1] / FILE_NAME
    about = header(path)["index"]
    assert change[0] in about
    save_file(load_file(path), path, {"index": about.replace(*change)})
    assert load_index(*places) is None


def header(path):
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return file.metadata()
