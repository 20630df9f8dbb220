"""A bundle comes back as it went in, and anything wrong with its files is one clear sentence."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusion_core.bundle import load, read_weights, save
from fusion_core.encoders.source import hash_file
from fusion_core.errors import ModelError
from tests.conftest import random_tokens


@pytest.fixture
def folder(tiny_model, tmp_path):
    save(tiny_model, tmp_path / "tiny")
    return tmp_path / "tiny"


def edit(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rehash(folder, name):
    content = json.loads((folder / "model.json").read_text())
    for entry in content["strategies"]:
        if entry["strategy"] == name:
            entry["sha256"] = hash_file(folder / "strategies" / f"{name}.safetensors")
    edit(folder, strategies=content["strategies"])


def test_a_loaded_bundle_answers_as_the_saved_model_rounded_to_half_precision(tiny_model, folder):
    loaded = load(folder)
    tokens = random_tokens(4)
    for name in tiny_model.strategies:
        torch.testing.assert_close(loaded.fuse(tokens, name), tiny_model.fuse(tokens, name), atol=0.02, rtol=0.02)
    assert loaded.fitted == tiny_model.fitted
    assert (loaded.classes, loaded.default_strategy) == (tiny_model.classes, tiny_model.default_strategy)


def test_saving_twice_gives_the_same_files(tiny_model, folder, tmp_path):
    save(tiny_model, tmp_path / "again")
    for path in folder.rglob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes()


def test_the_model_card_names_every_strategy_and_encoder(tiny_model, folder):
    card = (folder / "README.md").read_text()
    assert all(name in card for name in tiny_model.strategies)
    assert "tiny-text" in card


@pytest.mark.parametrize("name", ["strategies/late.safetensors", "background.safetensors"])
def test_one_flipped_bit_is_found_by_hash(folder, name):
    path = folder / name
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"{path.name} has SHA-256 .* it is damaged or changed"):
        load(folder)


@pytest.mark.parametrize("name", ["strategies/early.safetensors", "background.safetensors", "model.json"])
def test_a_cut_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=path.name):
        load(folder)


@pytest.mark.parametrize("name", ["strategies/late.safetensors", "background.safetensors", "model.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name.split("/")[-1]):
        load(folder)


def test_a_pickle_is_refused_before_anything_reads_it(folder):
    path = folder / "strategies" / "late.safetensors"
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(ModelError, match="is a pickle or an archive") as caught:
        load(folder)
    assert caught.value.code == "model_refused"


def test_a_torch_archive_is_refused(folder):
    torch.save({"weights": torch.zeros(2)}, folder / "strategies" / "late.safetensors")
    with pytest.raises(ModelError, match="is a pickle or an archive"):
        load(folder)


def test_non_finite_weights_are_refused_even_with_a_right_hash(folder):
    path = folder / "strategies" / "late.safetensors"
    weights = load_file(path)
    weights["scale"] = torch.tensor(float("nan"))
    save_file(weights, path)
    rehash(folder, "late")
    with pytest.raises(ModelError, match="holds a non-finite number in scale"):
        load(folder)


def test_weights_of_another_size_are_refused(folder):
    save_file({"scale": torch.zeros(3)}, folder / "strategies" / "late.safetensors")
    rehash(folder, "late")
    with pytest.raises(ModelError, match="does not hold the weights of a late head"):
        load(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("strategies", 0, "sha256"), ""),
        (("background", "sha256"), ""),
        (("encoders", "text", "sha256"), ""),
        (("encoders", "text", "width"), 10**9),
        (("encoders", "text", "kind"), "os"),
        (("encoders", "image", "grid"), [0, 7]),
        (("head", "heads"), 0),
        (("head", "width"), 10**7),
        (("head", "dropout"), 2.0),
        (("strategies", 0, "validation_accuracy"), "x"),
        (("strategies", 0, "status"), "certain"),
        (("strategies", 0, "extra"), 1),
    ],
)
def test_no_value_switches_a_check_off_or_brings_the_loader_down(folder, place, value):
    content = json.loads((folder / "model.json").read_text())
    target = content
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="is not of format 1"):
        load(folder)


@pytest.mark.parametrize("text", ['{"format": NaN}', '{"format": 1, "format": 1}', '{"a":' * 500 + "1" + "}" * 500])
def test_model_json_is_strict(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"model\.json of tiny"):
        load(folder)


@pytest.mark.parametrize("length", [0x280, 0x4B50])
def test_weights_whose_header_length_looks_like_a_pickle_or_an_archive_are_read(tmp_path, length):
    path = tmp_path / "w.safetensors"
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(length)
    path.write_bytes(length.to_bytes(8, "little") + header + bytes(4))
    assert path.read_bytes()[:2] in (b"\x80\x02", b"PK")
    assert float(read_weights(path, hash_file(path))["a"]) == 0.0


def test_a_background_of_uneven_donors_is_refused(folder):
    path = folder / "background.safetensors"
    tensors = load_file(path)
    tensors["audio.values"], tensors["audio.mask"] = tensors["audio.values"][:3], tensors["audio.mask"][:3]
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    content = json.loads((folder / "model.json").read_text())
    edit(folder, background={**content["background"], "sha256": hash_file(path)})
    with pytest.raises(ModelError, match="as many whole donors"):
        load(folder)


def test_a_strategy_outside_the_registry_is_refused(folder):
    content = json.loads((folder / "model.json").read_text())
    content["strategies"][0]["strategy"] = "os.system"
    edit(folder, strategies=content["strategies"])
    with pytest.raises(ModelError, match=r"strategy 'os.system' .* is unknown; known: late"):
        load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"classes": ["one"]},
        {"extra": 1},
        {"strategies": 3},
        {"default_strategy": "nope"},
        {"head": {"w": 1}},
    ],
)
def test_a_foreign_model_json_is_one_clear_sentence(folder, changes):
    edit(folder, **changes)
    with pytest.raises(ModelError, match=r"tiny|format|default"):
        load(folder)


def test_a_folder_that_is_no_bundle_says_so(tmp_path):
    with pytest.raises(ModelError, match=r"has no model\.json"):
        load(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ModelError, match="is not a bundle folder"):
        load(tmp_path)
