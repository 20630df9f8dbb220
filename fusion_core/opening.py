"""One way to open any fused model: a bundle of ours, a Hugging Face directory, or the operator's own object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fusion_core.asked import Asked
from fusion_core.bundle import load
from fusion_core.encoders import EncoderRoots, EncoderSource
from fusion_core.encoders.source import hash_file, hash_settings
from fusion_core.errors import CallError, ModelError
from fusion_core.foreign import is_foreign, load_foreign
from fusion_core.foreign.folder import READ
from fusion_core.foreign.load import mark_of
from fusion_core.foreign.weights import hash_weights, weight_files
from fusion_core.model import FusedModel
from fusion_core.own import load_object
from fusion_core.own.load import mark_of as mark_of_object
from fusion_core.types import Record

Records = Callable[[], Sequence[Record]]


def open_fused(
    path: Path, roots: EncoderRoots | None = None, asked: Asked | None = None, records: Records | None = None
) -> FusedModel:
    """Open a model by its folder; `records` is where one that has no donors of its own draws them from.

    Raises ModelError for what is not loaded, CallError when it is not said what to ask of a foreign model, or a bundle
    is asked for other classes than its own.
    """
    asked = asked or Asked()
    if asked.elsewhere and not is_foreign(path):
        raise CallError(f"{asked.object or path.name} runs as it is; --device and --dtype are for Hugging Face models")
    if asked.object:
        if asked.labels or asked.task or asked.prompt:
            raise CallError(f"{asked.object} says by itself what it answers; leave out --labels, --task and --prompt")
        return load_object(asked.object, records)
    if not path.exists():
        raise ModelError(f"there is no model at {path.name!r}")
    if not is_foreign(path) and not (path / "model.json").is_file():
        raise ModelError(
            f"{path.name!r} is not a bundle folder (a folder with a model.json) nor a Hugging Face directory (with a "
            "config.json)"
        )
    if is_foreign(path):
        return load_foreign(path, asked, records)
    if asked.labels or asked.task or asked.prompt:
        raise CallError(
            f"{path.name} answers the classes it was fitted on; --labels, --task and --prompt are for other models"
        )
    return load(path, roots)


def mark_model(path: Path, asked: Asked | None = None) -> str:
    """Return a hash of all that decides a model's answers, but for the records it is opened with.

    A bundle's is that of its model.json, which has the hash of every other file of it.
    """
    asked = asked or Asked()
    if asked.object:
        return mark_of_object(asked.object)
    if is_foreign(path):
        sha256 = hash_weights(weight_files(path))
        return mark_of(EncoderSource("directory", path.name, sha256, hash_settings(path, "", READ)), asked)
    if not (path / "model.json").is_file():
        raise ModelError(
            f"{path.name!r} is not a bundle folder (a folder with a model.json) nor a Hugging Face directory"
        )
    return hash_file(path / "model.json")
