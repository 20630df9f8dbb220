"""A reference on disk, beside its bundle: `reference.safetensors` for numbers, `reference.json` for the rest.

`reference.json` holds the hash of the numbers and of the `model.json` they were made with. It also holds the words of
the clean texts, in no order. That of a model that is no bundle of ours is kept in the user's cache folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fusion_core.diagnose.reference import STEPS, Reference, Spread
from fusion_core.diagnose.signals import Profile
from fusion_core.encoders.source import hash_file
from fusion_core.errors import ModelError
from fusion_core.model import FusedModel
from fusion_core.reading.metadata import parse_object
from fusion_core.token_cache import default_folder

FORMAT = 1  # raise it when a signal changes: limits of other signals would be wrong
NUMBERS, WORDS = "reference.safetensors", "reference.json"
MAX_BYTES = 20_000_000
KEYS = {"format", "model", "sha256", "records", "strategy", "present", "repeats", "signals", "limits", "trigrams",
        "function_words", "words", "odd_words", "characters"}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """Where a model's reference is kept, and the hash of the model it must have been made with."""

    folder: Path
    mark: str
    name: str


def kept_of(path: Path, model: FusedModel | None = None) -> Kept:
    """Return where a model's reference is: in its bundle, else (`model`, as it was opened) under its mark in the cache.

    Raises ModelError where there is neither.
    """
    if (path / "model.json").is_file():
        return Kept(path, hash_file(path / "model.json"), path.name)
    if model is None or not model.mark:
        raise ModelError(f"{path.name} is no bundle of this tool: reference statistics are kept in one")
    return Kept(default_folder().parent / "references" / model.mark, model.mark, path.name)


def save_reference(reference: Reference, path: Path, model: FusedModel | None = None) -> None:
    """Save a reference beside the bundle it was made with, or for a model that is none (see `kept_of`)."""
    kept = kept_of(path, model)
    kept.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    profile, spreads = reference.profile, reference.spreads
    numbers: dict[str, np.ndarray] = {
        "quantiles": np.array([s.quantiles for s in spreads.values()], np.float32),
        "scales": np.array([(s.below, s.above) for s in spreads.values()], np.float32),
        "colours": profile.colours.astype(np.float16),
        "palette": profile.palette.astype(np.uint8),
        **{f"{m}.vectors": rows.astype(np.float16) for m, rows in profile.vectors.items()},
    }
    save_file(numbers, kept.folder / NUMBERS)
    content = {
        "format": FORMAT,
        "model": kept.mark,
        "sha256": hash_file(kept.folder / NUMBERS),
        "records": reference.records,
        "strategy": reference.strategy,
        "present": dict(reference.present),
        "repeats": dict(reference.repeats),
        "signals": list(spreads),
        "limits": {name: round(limit, 6) for name, limit in reference.limits.items()},
        "trigrams": dict(sorted(profile.trigrams.items())),
        "function_words": sorted(profile.function_words),
        "words": sorted(profile.words),
        "odd_words": profile.odd_words,
        "characters": "".join(sorted(profile.characters)),
    }
    (kept.folder / WORDS).write_text(json.dumps(content, ensure_ascii=False) + "\n", "utf-8")


def drop_reference(bundle: Path) -> None:
    """Remove a bundle's reference, as when another model takes its place."""
    for name in (NUMBERS, WORDS):
        (bundle / name).unlink(missing_ok=True)


def load_reference(path: Path, model: FusedModel | None = None) -> Reference:
    """Load a model's reference (see `kept_of`); raises ModelError when it is missing, damaged, or another model's."""
    kept = kept_of(path, model)
    for name in (NUMBERS, WORDS):
        file = kept.folder / name
        if not file.is_file():
            raise ModelError(f"{kept.name} has no {name}; make it with `diagnose --reference` and clean records")
        if file.stat().st_size > MAX_BYTES:
            raise ModelError(f"{name} of {kept.name} is over {MAX_BYTES:,} bytes")
    try:
        content = parse_object((kept.folder / WORDS).read_bytes())
        if set(content) != KEYS or content["format"] != FORMAT:
            raise ModelError(f"{WORDS} of {kept.name} is not of format {FORMAT}")
        if content["model"] != kept.mark or content["sha256"] != hash_file(kept.folder / NUMBERS):
            raise ModelError(f"the reference of {kept.name} was made with another model, or was changed")
        return _reference(content, _numbers(kept.folder / NUMBERS))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelError(f"the reference of {kept.name} is damaged: {error}") from error


def _numbers(path: Path) -> dict[str, np.ndarray]:
    with safe_open(path, framework="np") as file:
        found = {key: np.asarray(file.get_tensor(key), np.float32) for key in file.keys()}  # noqa: SIM118 - not a dict
    if not all(bool(np.isfinite(rows).all()) for rows in found.values()):
        raise ValueError("a number is not finite")
    return found


def _reference(content: Mapping[str, Any], numbers: Mapping[str, np.ndarray]) -> Reference:
    names = [str(name) for name in content["signals"]]
    quantiles, scales = numbers["quantiles"], numbers["scales"]
    if quantiles.shape != (len(names), STEPS) or scales.shape != (len(names), 2) or not bool((scales > 0).all()):
        raise ValueError("signals, quantiles and scales do not belong together")
    spreads = {
        name: Spread(tuple(float(q) for q in row), float(below), float(above))
        for name, row, (below, above) in zip(names, quantiles, scales, strict=True)
    }
    return Reference(
        records=int(content["records"]),
        strategy=str(content["strategy"]),
        present=_shares(content["present"]),
        repeats=_shares(content["repeats"]),
        spreads=spreads,
        profile=_profile(content, numbers),
        limits={str(name): _positive(limit) for name, limit in content["limits"].items()},
    )


def _profile(content: Mapping[str, Any], numbers: Mapping[str, np.ndarray]) -> Profile:
    trigrams = {str(triple): int(count) for triple, count in content["trigrams"].items()}
    starts: Counter[str] = Counter()
    for triple, count in trigrams.items():
        starts[triple[:2]] += count
    colours, palette = numbers["colours"], numbers["palette"]
    vectors = {key.removesuffix(".vectors"): rows for key, rows in numbers.items() if key.endswith(".vectors")}
    if colours.ndim != 2 or palette.ndim != 1 or any(rows.ndim != 2 for rows in vectors.values()):
        raise ValueError("colours or vectors have no rows")
    return Profile(
        trigrams=trigrams,
        starts=dict(starts),
        function_words=frozenset(map(str, content["function_words"])),
        words=frozenset(map(str, content["words"])),
        odd_words=_positive(content["odd_words"]),
        characters=frozenset(str(content["characters"])),
        colours=colours,
        palette=palette > 0,
        vectors=vectors,
    )


def _shares(entry: Mapping[str, Any]) -> dict[str, float]:
    found = {str(name): float(share) for name, share in entry.items()}
    if not all(0.0 <= share <= 1.0 for share in found.values()):
        raise ValueError("a share is not between 0 and 1")
    return found


def _positive(value: Any) -> float:
    number = float(value)
    if not 0.0 < number < float("inf"):
        raise ValueError(f"{value!r} is not a positive number")
    return number
