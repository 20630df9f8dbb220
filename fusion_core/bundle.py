"""Model bundles on disk: `model.json`, safetensors and a model card. Nothing in a bundle can run.

BUNDLE/model.json  strategies/<name>.safetensors  background.safetensors  README.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fusion_core.card import model_card
from fusion_core.encoders import EncoderRoots, EncoderSource
from fusion_core.encoders.source import hash_file, other_kind, verify
from fusion_core.errors import ModelError
from fusion_core.fit_facts import facts_entry, read_facts
from fusion_core.foreign import ModelStack
from fusion_core.foreign.entry import foreign_entry, read_foreign
from fusion_core.foreign.head import ForeignHead
from fusion_core.fusion import Head, HeadSettings, TokenSpec, strategy
from fusion_core.model import Background, FusedModel, read_fitted
from fusion_core.reading.metadata import parse_object
from fusion_core.reading.paths import resolve_inside
from fusion_core.types import MODALITIES, Tokens

FORMAT = 1
MAX_JSON_BYTES = 1_000_000
MAX_WEIGHT_BYTES = 500_000_000
KEYS = {"format", "versions", "name", "classes", "default_strategy", "encoders", "head", "strategies", "background"}
#: Bundles fitted before `data` was kept have none; `foreign` is for encoders that are parts of a foreign model.
OPTIONAL = {"data", "foreign"}


def save(model: FusedModel, folder: Path) -> None:
    """Write a model as a bundle; weights and background as float16."""
    (folder / "strategies").mkdir(parents=True, exist_ok=True)
    for name in set(strategy) - set(model.heads):  # of an earlier model in the same place
        (folder / "strategies" / f"{name}.safetensors").unlink(missing_ok=True)
    entries = []
    own = {name: head for name, head in model.heads.items() if not isinstance(head, ForeignHead)}
    for name, head in own.items():
        path = folder / "strategies" / f"{name}.safetensors"
        save_file({k: v.half().contiguous() for k, v in head.state_dict().items()}, path)
        entries.append({**asdict(model.fitted[name]), "sha256": hash_file(path)})
    background = folder / "background.safetensors"
    save_file(_pack(model.background), background)
    any_head = next(iter(own.values()))
    content = {
        "format": FORMAT,
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "name": model.name,
        "classes": list(model.classes),
        "default_strategy": model.default_strategy,
        "encoders": {
            m: {
                **asdict(source),
                **_spec_entry(any_head.specs[m]),
                "preprocessing": model.stack.preprocessing[m],
            }
            for m, source in model.stack.sources.items()
        },
        "head": asdict(any_head.settings),
        "strategies": entries,
        "background": {"donors": model.background.size, "sha256": hash_file(background)},
        **({"data": facts_entry(model.facts)} if model.facts else {}),
        **({"foreign": foreign_entry(model)} if isinstance(model.stack, ModelStack) else {}),
    }
    (folder / "model.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(model_card(model), "utf-8")


def load(folder: Path, roots: EncoderRoots | None = None) -> FusedModel:
    """Load a bundle, comparing every file with the hash `model.json` has for it; encoders load when first used.

    Raises ModelError, naming the file, when one is missing, cut, changed, pickled, or not of this format.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder.name!r} is not a bundle folder (a folder with a model.json)")
    content = _read_json(folder)
    try:
        return _build(folder, content, roots)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"model.json of {folder.name} is not of format {FORMAT}: {error}") from error


def _build(folder: Path, content: dict[str, Any], roots: EncoderRoots | None) -> FusedModel:
    classes = [str(c) for c in content["classes"]]
    encoders = {m: content["encoders"][m] for m in MODALITIES if m in content["encoders"]}
    if (
        len(encoders) != len(content["encoders"])
        or not encoders
        or len(set(classes)) != len(classes)
        or len(classes) < 2
    ):
        raise ModelError(f"model.json of {folder.name} needs known modalities and at least two distinct classes")
    specs = {m: _token_spec(e) for m, e in encoders.items()}
    sources = {
        m: EncoderSource(e["source"], str(e["name"]), _digest(e["sha256"]), _digest(e["settings_sha256"]))
        for m, e in encoders.items()
    }
    preprocessing = {m: dict(e["preprocessing"]) for m, e in encoders.items()}
    settings = _head_settings(content["head"])
    stack, heads, fitted = read_foreign(content.get("foreign"), sources, roots, preprocessing, tuple(classes))
    for entry in content["strategies"]:
        name = str(entry["strategy"])
        if name not in strategy:
            raise ModelError(
                f"strategy {name!r} of {folder.name} is unknown; known: {', '.join(strategy)}", "model_refused"
            )
        heads[name] = _load_head(folder, name, _digest(entry["sha256"]), specs, len(classes), settings)
        fitted[name] = read_fitted(entry, ("trained", "distilled", "chance"))
    background = _load_background(folder, _digest(content["background"]["sha256"]), specs)
    default = str(content["default_strategy"])
    if default not in heads:
        raise ModelError(f"default strategy {default!r} is not among the bundle's: {', '.join(heads)}")
    facts = read_facts(content["data"], tuple(classes), tuple(heads)) if "data" in content else None
    return FusedModel(str(content["name"]), classes, stack, heads, fitted, background, default, facts)


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.is_file():
        raise ModelError(f"{folder.name} has no model.json: it is not a bundle of this tool")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ModelError(f"model.json of {folder.name} is over {MAX_JSON_BYTES:,} bytes")
    try:
        content = parse_object(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"model.json of {folder.name} is not strict JSON: it is cut or damaged") from error
    if set(content) - OPTIONAL != KEYS:
        raise ModelError(f"model.json of {folder.name} must have exactly the keys {', '.join(sorted(KEYS))}")
    if content["format"] != FORMAT:
        raise ModelError(f"{folder.name} has format {content['format']!r}; this version reads format {FORMAT}")
    return content


def _load_head(
    folder: Path, name: str, sha256: str, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings
) -> Head:
    weights = read_weights(resolve_inside(folder, f"strategies/{name}.safetensors"), sha256)
    head = strategy[name](specs, classes, settings)
    try:
        head.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{name}.safetensors does not hold the weights of a {name} head of this size") from error
    return head


def _load_background(folder: Path, sha256: str, specs: Mapping[str, TokenSpec]) -> Background:
    tensors = read_weights(resolve_inside(folder, "background.safetensors"), sha256)
    tokens = {
        m: Tokens(tensors[f"{m}.values"], tensors[f"{m}.mask"] > 0, tensors.get(f"{m}.raw"), _whole(tensors, m))
        for m in specs
    }
    donors = {t.values.shape[0] for t in tokens.values()}
    fits = all(
        t.values.ndim == 3
        and t.values.shape[:2] == t.mask.shape
        and t.values.shape[2] == specs[m].width
        and (0 if t.raw is None else t.raw.shape[-1]) == specs[m].raw
        and (t.raw is None or t.raw.shape[:2] == t.mask.shape)
        and (0 if t.positions is None else t.positions.shape[-1]) == specs[m].places
        and (t.positions is None or t.positions.shape[:2] == t.mask.shape)
        and bool(t.mask.any(dim=1).all())
        for m, t in tokens.items()
    )
    if not fits or len(donors) != 1:
        raise ModelError("background.safetensors does not hold as many whole donors for every modality")
    return Background(tokens)


def _digest(value: object) -> str:
    """Return a SHA-256 in hex; anything else would switch a check off."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is not a SHA-256 of 64 hex digits")
    return value


def _head_settings(entry: Mapping[str, Any]) -> HeadSettings:
    settings = HeadSettings(**entry)
    whole = all(isinstance(v, int) for v in (settings.width, settings.heads, settings.layers))
    if not whole or not (1 <= settings.heads <= 64 and 1 <= settings.layers <= 24 and 0.0 <= settings.dropout < 1.0):
        raise ValueError("head settings are out of range")
    if not (2 <= settings.width <= 4096) or settings.width % 2 or settings.width % settings.heads:
        raise ValueError(f"head width {settings.width} must be even, at most 4096 and a multiple of its heads")
    return settings


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read a safetensors file as float32 after comparing its hash.

    Raises ModelError when it is missing, changed, a pickle or archive, over 500 MB, or holds non-finite numbers.
    """
    if not path.is_file():
        raise ModelError(f"{path.name} is missing from the bundle")
    if other_kind(path):
        raise ModelError(f"{path.name} is a pickle or an archive; only safetensors are loaded", "model_refused")
    if path.stat().st_size > MAX_WEIGHT_BYTES:
        raise ModelError(f"{path.name} is over {MAX_WEIGHT_BYTES:,} bytes")
    verify(path, sha256)
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name} is not a whole safetensors file") from error
    for key, value in found.items():
        if not bool(torch.isfinite(value).all()):
            raise ModelError(f"{path.name} holds a non-finite number in {key}")
    return found


def _whole(tensors: Mapping[str, Tensor], modality: str) -> Tensor | None:
    found = tensors.get(f"{modality}.positions")
    return None if found is None else found.int()


def _pack(background: Background) -> dict[str, Tensor]:
    packed = {}
    for m, tokens in background.tokens.items():
        packed[f"{m}.values"] = tokens.values.half().contiguous()
        packed[f"{m}.mask"] = tokens.mask.to(torch.uint8)
        if tokens.raw is not None:
            packed[f"{m}.raw"] = tokens.raw.half().contiguous()
        if tokens.positions is not None:
            packed[f"{m}.positions"] = tokens.positions.int().contiguous()
    return packed


def _token_spec(entry: Mapping[str, Any]) -> TokenSpec:
    width, kind, grid, raw = entry["width"], entry["kind"], entry["grid"], entry.get("raw", 0)
    places = entry.get("places", 0)
    sides = [] if grid is None else list(grid)
    fits = isinstance(width, int) and 1 <= width <= 65_536 and kind in ("words", "patches", "frames")
    fits = fits and isinstance(raw, int) and 0 <= raw <= 65_536 and isinstance(places, int) and 0 <= places <= 4
    if not fits or (sides and len(sides) != 2) or not all(isinstance(s, int) and 1 <= s <= 256 for s in sides):
        raise ValueError(f"tokens {width!r} wide of kind {kind!r} on grid {grid!r} are out of range")
    return TokenSpec(width, kind, (sides[0], sides[1]) if sides else None, raw, places)


def _spec_entry(spec: TokenSpec) -> dict[str, Any]:
    grid = list(spec.grid) if spec.grid else None
    entry = {"width": spec.width, "kind": spec.kind, "grid": grid, "raw": spec.raw}
    return entry | {"places": spec.places} if spec.places else entry
