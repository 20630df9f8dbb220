"""A Hugging Face directory, checked before anything in it is used: no code, no pickle, bounded sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from fusion_core.encoders import EncoderSource
from fusion_core.encoders.source import (
    REFUSED_KEYS,
    all_keys,
    hash_settings,
    load_frozen,
    read_config,
    read_settings,
)
from fusion_core.errors import ModelError
from fusion_core.foreign.place import HERE, Place
from fusion_core.foreign.weights import hash_weights, stored_elements, weight_files

#: What from_pretrained of a named class, or we, may read beside the weights.
READ = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
#: Each would make the loader fetch or run something else than the named class: adapters, quantised kernels, generation.
REFUSED_FILES = ("adapter_config.json", "custom_generate")
REFUSED_HERE = (
    *REFUSED_KEYS,
    "quantization_config",
    "attn_kernel",
    "base_model_name_or_path",
    "transformers_weights",  # would name another weights file than the one that is checked
)
KERNELS = ("eager", "sdpa", None)
MAX_FILES = 1_000
MAX_TOKENIZER_BYTES = 100_000_000
MAX_NUMBER, MAX_LAYERS, MAX_SIDE = 10_000_000, 256, 8_192
#: Elements a class may hold beyond its file: position numbers and the like.
SPARE = 10_000_000


@dataclass(frozen=True)
class Folder:
    """A directory that was checked: its parsed `config.json`, where its weights came from, and their files."""

    path: Path
    config: dict[str, Any]
    source: EncoderSource
    files: tuple[Path, ...]

    def settings(self, name: str) -> dict[str, Any]:
        """Return one of the small JSON files; empty without it."""
        return read_settings(self.path / name) if (self.path / name).is_file() else {}

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How pictures or clips are prepared: `preprocessor_config.json`, or that part of `processor_config.json`.

        Raises ModelError where neither says so: prepared in another way, a model answers wrongly and nobody is told.
        """
        if (self.path / "preprocessor_config.json").is_file():
            return self.settings("preprocessor_config.json")
        whole = self.settings("processor_config.json")
        for name in ("image_processor", "feature_extractor"):
            if isinstance(part := whole.get(name), dict):
                return part
        raise ModelError(f"{self.path.name} has no preprocessor_config.json, which says how its input is prepared")

    def load(
        self,
        class_name: str,
        place: Place = HERE,
        settings: Mapping[str, Any] | None = None,
        unused: Sequence[str] = (),
    ) -> Any:
        """Return the frozen model of a named class at a place, its attention heard by our tapes.

        settings: entries of its config that are set whatever the file says. unused: as in `load_frozen`. Raises
        ModelError when the weights do not fit the class and its config, or are not finite.
        """
        model_class, fixed = getattr(transformers, class_name), dict(settings or {})
        _fits(self.path, self.files, model_class, {**self.config, **fixed})
        model = load_frozen(model_class, self.path, place.dtype, unused, attn_implementation="fusion_lens", **fixed)
        for name, weights in model.state_dict().items():
            if weights.is_floating_point() and not bool(torch.isfinite(weights).all()):
                raise ModelError(
                    f"the weights of {self.path.name} hold a non-finite number, read as {place.words}: {name}"
                )
        return model.to(place.device)


def is_foreign(path: Path) -> bool:
    """Return whether a folder is a Hugging Face directory rather than a bundle of this tool."""
    return path.is_dir() and not (path / "model.json").is_file() and (path / "config.json").is_file()


def open_folder(path: Path) -> Folder:
    """Check a directory and read its config; raises ModelError (`model_refused`) on what could run or lead outside."""
    _inside(path)
    config = read_config(path)
    for name in READ:
        if (path / name).is_file():
            _harmless(path, name)
    _bounded(path, config)
    weights = weight_files(path)
    tokenizer = path / "tokenizer.json"
    if tokenizer.is_file() and tokenizer.stat().st_size > MAX_TOKENIZER_BYTES:
        raise ModelError(f"tokenizer.json of {path.name} is over {MAX_TOKENIZER_BYTES:,} bytes", "model_refused")
    return Folder(
        path,
        config,
        EncoderSource("directory", path.name, hash_weights(weights), hash_settings(path, "", READ)),
        weights,
    )


def _inside(path: Path) -> None:
    root = path.resolve()
    for number, found in enumerate(root.rglob("*")):
        if number >= MAX_FILES:
            raise ModelError(f"{path.name} holds over {MAX_FILES:,} files; name the model's own folder")
        if not found.resolve().is_relative_to(root):
            raise ModelError(
                f"{found.name} of {path.name} is a link that leads outside; copy the files into the folder "
                "(huggingface-cli download --local-dir does)",
                "model_refused",
            )
        if found.suffix in (".py", ".pyc", ".so") or found.name in REFUSED_FILES:
            raise ModelError(f"{path.name} is refused: it holds {found.name}, and nothing of a model is ever run",
                             "model_refused")  # fmt: skip


def _harmless(path: Path, name: str) -> None:
    found = read_settings(path / name)
    named = [key for key in REFUSED_HERE if key in all_keys(found)]
    if named:
        raise ModelError(f"{path.name} is refused: {name} names {named[0]}, and code from a model is never run",
                         "model_refused")  # fmt: skip
    for key, value in _entries(found):
        if key in ("_attn_implementation", "attn_implementation") and value not in KERNELS:
            raise ModelError(f"{path.name} is refused: {name} asks for the attention kernel {value!r}", "model_refused")


def _entries(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in ((k, v), *_entries(v))]
    return [pair for v in value for pair in _entries(v)] if isinstance(value, list) else []


def _bounded(path: Path, config: dict[str, Any]) -> None:
    for key, value in _entries(config):
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                continue
            most = MAX_LAYERS if "layers" in key or key == "depths" else MAX_SIDE if "image_size" in key else MAX_NUMBER
            # Compared, not asked whether it is finite: a whole number of hundreds of digits is no float.
            if not abs(number) <= most:
                said = str(number)[:40]
                raise ModelError(f"config.json of {path.name} has {key} {said}; at most {most:,}", "model_refused")


def _fits(path: Path, files: Sequence[Path], model_class: Any, config: dict[str, Any]) -> None:
    """Compare the size the config asks for with what the file holds before anything is allocated."""
    stored = stored_elements(files)
    try:
        with torch.device("meta"):
            asked = sum(p.numel() for p in model_class(model_class.config_class.from_dict(dict(config))).parameters())
    except Exception as error:  # the config classes raise whatever a wrong value makes them raise
        raise ModelError(f"config.json of {path.name} does not describe a {model_class.__name__}") from error
    if asked > stored + SPARE:
        raise ModelError(f"config.json of {path.name} asks for {asked:,} weights, but its safetensors hold {stored:,}")
