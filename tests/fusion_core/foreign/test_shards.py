"""Weights in several files, as large models are saved: the same answers to the bit, and every shard is checked."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from fusion_core.asked import Asked
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.folder import open_folder
from fusion_core.foreign.weights import INDEX, MAX_SHARDS, WHOLE, weight_files
from fusion_core.opening import mark_model
from tests.fusion_core.foreign.conftest import LABELS


@pytest.fixture
def sharded(folders, tmp_path):
    """The tiny CLIP again, its weights in shards of at most 10 kB."""
    whole = folders("clip")
    folder = shutil.copytree(whole, tmp_path / "clip")
    (folder / WHOLE).unlink()
    transformers.CLIPModel.from_pretrained(whole).save_pretrained(folder, max_shard_size="10KB")
    assert len(weight_files(folder)) > 3
    return folder


def rename(folder: Path, old: str, new: object) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] = {k: new if v == old else v for k, v in index["weight_map"].items()}
    (folder / INDEX).write_text(json.dumps(index))


def test_shards_answer_as_one_file_does_to_the_bit(sharded, folders, records):
    some = records("clip")[:3]
    found = []
    for folder in (sharded, folders("clip")):
        model = load_foreign(folder, LABELS)
        with torch.no_grad():
            found.append(model.fuse(model.encode(model.prepare(some)), "clip"))
    assert torch.equal(*found)


def test_one_file_comes_before_an_index_as_it_does_for_transformers(sharded, folders):
    shutil.copy(folders("clip") / WHOLE, sharded)
    assert [f.name for f in weight_files(sharded)] == [WHOLE]


def test_the_hash_covers_every_shard(sharded):
    asked = Asked(labels=("a", "b"))
    before, marked = open_folder(sharded).source.sha256, mark_model(sharded, asked)
    last = weight_files(sharded)[-1]
    data = bytearray(last.read_bytes())
    data[-1] ^= 1
    last.write_bytes(bytes(data))
    assert open_folder(sharded).source.sha256 != before
    assert mark_model(sharded, asked) != marked


@pytest.mark.parametrize("named", ["../x.safetensors", "sub/x.safetensors", "/x.safetensors", "x.bin", "x", "", ".",
                                   "a\\b.safetensors", "x.safetensors\n", ".x.safetensors", 7, None])  # fmt: skip
def test_an_index_may_name_nothing_but_safetensors_beside_it(sharded, named):
    rename(sharded, weight_files(sharded)[0].name, named)
    with pytest.raises(ModelError, match="a shard is a") as refused:
        open_folder(sharded)
    assert refused.value.code == "model_refused"


def test_a_shard_that_is_not_there_is_named(sharded):
    gone = weight_files(sharded)[1]
    gone.unlink()
    with pytest.raises(ModelError, match=f"{gone.name} is missing"):
        open_folder(sharded)


@pytest.mark.parametrize("data", [pickle.dumps(print), b"PK\x03\x04" + bytes(40)])
def test_a_shard_that_is_a_pickle_or_an_archive_is_refused(sharded, data):
    weight_files(sharded)[-1].write_bytes(data)
    with pytest.raises(ModelError, match="pickle or an archive"):
        open_folder(sharded)


@pytest.mark.parametrize("index", ["[]", "{", "{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_that_is_none_is_refused(sharded, index):
    (sharded / INDEX).write_text(index)
    with pytest.raises(ModelError, match="index"):
        open_folder(sharded)


def test_an_index_and_the_shards_it_names_are_bounded(sharded, monkeypatch):
    with monkeypatch.context() as small:
        small.setattr("fusion_core.foreign.weights.MAX_WEIGHT_BYTES", 20_000)
        with pytest.raises(ModelError, match="are over 20,000 bytes"):
            open_folder(sharded)
    with monkeypatch.context() as small:
        small.setattr("fusion_core.foreign.weights.MAX_INDEX_BYTES", 100)
        with pytest.raises(ModelError, match="is over 100 bytes"):
            open_folder(sharded)
    many = {f"w{n}": f"m-{n}.safetensors" for n in range(MAX_SHARDS + 1)}
    (sharded / INDEX).write_text(json.dumps({"weight_map": many}))
    with pytest.raises(ModelError, match="at most 500"):
        open_folder(sharded)


def test_a_weight_that_two_shards_hold_and_a_cut_shard_are_refused(sharded):
    first, second, *_ = weight_files(sharded)
    kept = second.read_bytes()
    second.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(ModelError):
        load_foreign(sharded, LABELS)
    shutil.copy(first, second)
    with pytest.raises(ModelError, match="another shard"):
        load_foreign(sharded, LABELS)


def test_a_shard_the_index_leaves_out_is_missed(sharded):
    last = weight_files(sharded)[-1].name
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"] = {k: v for k, v in index["weight_map"].items() if v != last}
    (sharded / INDEX).write_text(json.dumps(index))
    with pytest.raises(ModelError, match="would be random"):
        load_foreign(sharded, LABELS)
