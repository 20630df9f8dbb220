"""A poisoned directory is refused before anything in it runs: no exec, no process, no socket."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest

from fusion_core.asked import Asked
from fusion_core.errors import CallError, ModelError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.folder import open_folder
from tests.fusion_core.foreign.conftest import LABELS


@pytest.fixture
def copy(folders, tmp_path):
    return shutil.copytree(folders("clip"), tmp_path / "model")


def change(folder, name="config.json", **entries):
    path = folder / name
    found = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(found | entries))


POISON = {
    "auto_map": {"auto_map": {"AutoModel": "evil.Model"}},
    "custom_pipelines": {"custom_pipelines": {"x": {"impl": "evil.P"}}},
    "custom_pipeline": {"custom_pipeline": "evil"},
    "custom_code": {"custom_code": True},
    "trust_remote_code": {"trust_remote_code": True},
    "_attn_implementation_internal": {"_attn_implementation_internal": "evil/kernel"},
    "nested": {"vision_config": {"auto_map": {"AutoModel": "evil.Model"}}},
    "kernel": {"_attn_implementation": "evil/kernel"},
    "kernel-2": {"attn_implementation": "evil/kernel"},
    "quantised": {"quantization_config": {"quant_method": "awq"}},
    "unknown-family": {"model_type": "evil"},
    "huge-vocabulary": {"text_config": {"vocab_size": 10**12}},
    "many-layers": {"vision_config": {"num_hidden_layers": 10**6}},
    "large-picture": {"vision_config": {"image_size": 10**6}},
    "other-weights": {"transformers_weights": "other.safetensors"},
    "infinite": {"logit_scale_init_value": float("inf")},
    "no-float": {"text_config": {"vocab_size": 10**400}},
}


@pytest.mark.parametrize("poison", POISON)
def test_a_config_that_would_run_or_allocate_is_refused(copy, watched, poison):
    change(copy, **POISON[poison])
    with pytest.raises(ModelError) as refused:
        load_foreign(copy, LABELS)
    assert refused.value.code == "model_refused"


@pytest.mark.parametrize(
    "name", ["preprocessor_config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json"]
)
def test_no_other_settings_file_may_name_code(copy, watched, name):
    change(copy, name, auto_map={"AutoProcessor": "evil.P"})
    with pytest.raises(ModelError, match="auto_map"):
        load_foreign(copy, LABELS)


@pytest.mark.parametrize("name", ["modeling_evil.py", "sub/evil.py", "evil.so", "adapter_config.json"])
def test_files_that_could_run_are_refused(copy, watched, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="ever run"):
        load_foreign(copy, LABELS)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *(("llava", part) for part in ("vision_config", "text_config")),
        *(("paligemma", part) for part in ("vision_config", "text_config")),
        *((name, "text_config") for name in ("idefics3", "smolvlm", "qwen2_audio")),
        ("qwen2_audio", "audio_config"),
    ],
)
@pytest.mark.parametrize("kind", ["timm_wrapper", "bert", ["bert"]], ids=str)
def test_a_part_is_of_a_named_class_too(folders, tmp_path, watched, name, part, kind):
    """One of these would have timm fetch whatever `architecture` names."""
    folder = shutil.copytree(folders(name), tmp_path / name)
    own = json.loads((folder / "config.json").read_text())[part]
    change(folder, **{part: {**own, "model_type": kind, "architecture": "hf-hub:evil/model"}})
    with pytest.raises(ModelError, match="read there") as refused:
        load_foreign(folder, LABELS)
    assert refused.value.code == "model_refused"


class Evil:
    def __reduce__(self):
        return (print, ("ran",))


def test_pickled_weights_are_refused_under_any_name(copy, watched):
    (copy / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="pickle"):
        load_foreign(copy, LABELS)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_foreign(copy, LABELS)


def test_a_link_that_leads_outside_is_refused(copy, watched, tmp_path):
    (copy / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    (copy / "tokenizer.json").symlink_to(tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match="leads outside"):
        load_foreign(copy, LABELS)


def test_cut_weights_and_a_config_that_asks_for_more_than_they_hold_are_refused(copy, watched):
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError):
        load_foreign(copy, LABELS)
    (copy / "model.safetensors").write_bytes(whole)
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["vocab_size"] = 9_000_000
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="asks for"):
        load_foreign(copy, LABELS)


def test_a_good_folder_loads_under_the_same_watch(copy, watched):
    assert load_foreign(copy, LABELS).classes == LABELS.labels
    assert open_folder(copy).source.sha256


@pytest.mark.parametrize(
    "asked", [Asked(), Asked(labels=("a", "b"), task="match"), Asked(labels=("a",)), Asked(labels=("a", "a"))]
)
def test_it_must_be_said_what_to_ask(copy, asked):
    with pytest.raises(CallError, match="labels"):
        load_foreign(copy, asked)


def test_how_pictures_are_prepared_may_stand_in_the_processors_file(folders, copy):
    plain = open_folder(copy)
    own = plain.preprocessing
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="which says how its input is prepared"):
        load_foreign(copy, LABELS)
    (copy / "processor_config.json").write_text(json.dumps({"image_processor": own}))
    found = open_folder(copy)
    assert found.preprocessing == own
    assert found.source.settings_sha256 != plain.source.settings_sha256
    assert load_foreign(copy, LABELS).stack.preprocessing == load_foreign(folders("clip"), LABELS).stack.preprocessing
