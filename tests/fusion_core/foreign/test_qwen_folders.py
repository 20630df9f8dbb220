"""Qwen2-VL and Qwen2.5-VL: the sizes a folder asks for, and folders whose files do not fit each other."""

from __future__ import annotations

import json
import shutil

import pytest
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.qwen_vision import CellSize
from tests.fusion_core.foreign.conftest import LABELS


def test_sizes_are_the_familys():
    sizing = CellSize(28, 3_136, 28 * 28 * 60, 28 * 28 * 60)
    for height in (1, 5, 27, 100, 641, 4_000):
        for width in (1, 14, 200, 777, 5_000):
            if max(height, width) <= 200 * min(height, width):
                wanted = smart_resize(height, width, 28, sizing.least, sizing.most)
                assert sizing.size(height, width) == (wanted, ())
                assert wanted[0] * wanted[1] // 28**2 <= sizing.cells


def test_a_picture_that_the_family_refuses_is_squeezed_and_that_is_said():
    sizing = CellSize(28, 3_136, 1_003_520, 1_003_520)
    with pytest.raises(ValueError, match="aspect ratio"):
        smart_resize(3, 900, 28)
    found, notes = sizing.size(3, 900)
    assert found == sizing.size(3, 600)[0]
    assert "squeezed: sides of over 200 to 1" in notes[0]


def test_limits_are_read_in_each_of_their_spellings_and_cells_are_bounded():
    published = CellSize.read({"min_pixels": 3_136, "max_pixels": 12_845_056}, "x", 28)
    assert (published.least, published.most, published.asked) == (3_136, 1_280 * 784, 12_845_056)
    (high, wide), notes = published.size(3_000, 4_000)
    assert high * wide <= 1_280 * 784
    assert notes == (f"image reduced to {wide} x {high} px: at most 1,280 cells are read here",)
    assert published.size(600, 800)[1] == ()
    newer = CellSize.read({"size": {"shortest_edge": 3_136, "longest_edge": 100_352}}, "x", 28)
    older = CellSize.read({"size": {"min_pixels": 3_136, "max_pixels": 100_352}}, "x", 28)
    assert newer == older == CellSize(28, 3_136, 100_352, 100_352)
    assert CellSize.read({}, "x", 28) == CellSize(28, 3_136, 1_003_520, 1_003_520)
    for wrong in (
        {"min_pixels": 0},
        {"min_pixels": 9, "max_pixels": 8},
        {"min_pixels": 2_000_000},
        {"size": 224},
        {"size": {"height": 9}},
    ):
        with pytest.raises(ModelError, match=r"preprocessor_config\.json of x"):
            CellSize.read(wrong, "x", 28)


SLIDING = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1, "layer_types": None}
SECTIONS = {"rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 2, 1]}}
CHANGES = [
    ("gives patch_size 14", "qwen2_vl", "preprocessor_config.json", "", {"patch_size": 14}),
    ("gives merge_size 1", "qwen2_vl", "preprocessor_config.json", "", {"merge_size": 1}),
    ("attends within 8 pieces", "qwen2_vl", "config.json", "text_config", SLIDING),
    ("together they are 4", "qwen2_vl", "config.json", "text_config", SECTIONS),
    ("windows of 4 px", "qwen2_5_vl", "config.json", "vision_config", {"window_size": 4}),
]


@pytest.mark.parametrize(("said", "name", "file", "part", "change"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_folder_whose_files_do_not_fit_is_refused(folders, tmp_path, said, name, file, part, change):
    folder = shutil.copytree(folders(name), tmp_path / "model")
    found = json.loads((folder / file).read_text())
    changed = found | {part: found[part] | change} if part else found | change
    (folder / file).write_text(json.dumps(changed))
    with pytest.raises(ModelError, match=said):
        load_foreign(folder, LABELS)


def test_a_tokenizer_without_the_familys_marks_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders("qwen2_vl"), tmp_path / "model")
    shutil.copy(folders("llava") / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(ModelError, match="has no <|im_start|>".replace("|", r"\|")):
        load_foreign(folder, LABELS)
