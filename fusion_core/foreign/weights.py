"""The weights of a Hugging Face directory: one safetensors file, or shards that an index names. Checked before use."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_core.encoders.source import hash_file, other_kind, read_settings, require_safetensors
from fusion_core.errors import ModelError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
#: What a shard may be called: no folder, no link out of this one, no other format.
SHARD = re.compile(r"[A-Za-z0-9][\w.-]*\.safetensors", re.ASCII)
MAX_INDEX_BYTES = 20_000_000
MAX_SHARDS = 500
MAX_HEADER_BYTES = 100_000_000
MAX_WEIGHT_BYTES = 200_000_000_000


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files that a folder's weights are in, in the order of their names.

    One `model.safetensors` comes before any index, as it does for Transformers. Raises ModelError (`model_refused`)
    without weights, for an index that names what is no safetensors file of this folder, and for what is too large.
    """
    if (folder / WHOLE).is_file() or not (folder / INDEX).is_file():
        files: tuple[Path, ...] = (require_safetensors(folder),)
    else:
        files = tuple(folder / name for name in _shards(folder))
    for path in files:
        if not path.is_file():
            raise ModelError(f"{path.name} is missing from {folder.name}, though {INDEX} names it")
        if other_kind(path):
            raise ModelError(f"{path.name} of {folder.name} is a pickle or an archive", "model_refused")
    if sum(path.stat().st_size for path in files) > MAX_WEIGHT_BYTES:
        raise ModelError(f"the weights of {folder.name} are over {MAX_WEIGHT_BYTES:,} bytes", "model_refused")
    return files


def _shards(folder: Path) -> list[str]:
    found = read_settings(folder / INDEX, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{INDEX} of {folder.name} has no weight_map")
    for named in found.values():
        if not isinstance(named, str) or not SHARD.fullmatch(named):
            raise ModelError(
                f"{INDEX} of {folder.name} names {str(named)[:80]!r}; a shard is a .safetensors file beside it",
                "model_refused",
            )
    names = sorted(set(found.values()))
    if len(names) > MAX_SHARDS:
        raise ModelError(f"{INDEX} of {folder.name} names {len(names):,} shards; at most {MAX_SHARDS}", "model_refused")
    return names


def hash_weights(files: Sequence[Path]) -> str:
    """Return the SHA-256 of a single file; of several, one over their names and hashes, in order."""
    if len(files) == 1:
        return hash_file(files[0])
    return hashlib.sha256("".join(f"{f.name}:{hash_file(f)}\n" for f in files).encode()).hexdigest()


def stored_elements(files: Sequence[Path]) -> int:
    """Return how many numbers the headers of all files announce; raises ModelError for a cut or contradictory one."""
    names: set[str] = set()
    total = 0
    for path in files:
        entries = {name: entry for name, entry in _header(path).items() if name != "__metadata__"}
        twice = sorted(names & set(entries))
        if twice:
            raise ModelError(f"{twice[0]} is in {path.name} of {path.parent.name} and in another shard")
        names |= set(entries)
        total += sum(math.prod(entry["shape"]) for entry in entries.values())
    return total


def _shaped(shape: Any) -> bool:
    return isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(MAX_HEADER_BYTES, path.stat().st_size - 8):
                raise ValueError("cut")
            found = json.loads(file.read(length))
        if not isinstance(found, dict) or not all(
            isinstance(e, dict) and (name == "__metadata__" or _shaped(e.get("shape"))) for name, e in found.items()
        ):
            raise ValueError("no header")
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} of {path.parent.name} is not a whole safetensors file") from error
    return found
