"""What was seen of records, as one `.npz` without pickle, so that rules can be tuned in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fusion_core.diagnose.signals import Seen

ARRAYS = ("pixels", "samples", "pieces", "fused", "joint")
GROUPS = ("pooled", "alone")


def save_seen(path: Path, seen: Sequence[Seen]) -> None:
    """Save records that were looked at; samples as float16."""
    arrays: dict[str, np.ndarray] = {}
    words = []
    for number, one in enumerate(seen):
        for name in ARRAYS:
            value = getattr(one, name)
            if value is not None:
                arrays[f"{number}/{name}"] = value.astype(np.float16) if name == "samples" else value
        for group in GROUPS:
            arrays |= {f"{number}/{group}/{m}": value for m, value in getattr(one, group).items()}
        words.append({"text": one.text, "rate": one.rate, "words": one.words, "label": one.label})
    with path.open("wb") as file:
        np.savez(file, about=np.frombuffer(json.dumps(words).encode(), np.uint8), **arrays)


def load_seen(path: Path) -> list[Seen]:
    """Load what `save_seen` saved."""
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        keyed = {key: arrays[key] for key in arrays.files if key != "about"}
    return [_one(number, entry, keyed) for number, entry in enumerate(about)]


def _one(number: int, entry: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> Seen:
    found = {name: arrays.get(f"{number}/{name}") for name in ARRAYS}
    groups = {
        group: {key.rsplit("/", 1)[1]: rows for key, rows in arrays.items() if key.startswith(f"{number}/{group}/")}
        for group in GROUPS
    }
    if found["samples"] is not None:
        found["samples"] = found["samples"].astype(np.float32)
    return Seen(**{**entry, **found, **groups, "words": tuple(entry["words"])})
