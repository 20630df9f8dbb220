"""Which encoders a fit may use: the default of each modality, none, or a folder below one the operator named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from fusion_core.encoders import DEFAULT_SOURCES, EncoderSource, image, text
from fusion_core.encoders.source import read_config
from fusion_core.errors import ModelError
from fusion_core.fusion import HeadSettings, TokenSpec, strategy

DEFAULT, NONE = "default", "none"
MOST = 100  # folders offered
READ = {"text": frozenset(text.CLASSES), "image": frozenset(image.CLASSES), "audio": frozenset({"whisper"})}


def offered(folders: tuple[Path, ...]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the encoder folders per modality, by their names below the operator's folders, and those not offered.

    A folder is offered where its config names a kind that is read here; what it holds is checked when it is loaded.
    """
    found: dict[str, list[str]] = {m: [] for m in READ}
    refused: list[str] = []
    for name, folder in _candidates(folders):
        try:
            kind = str(read_config(folder).get("model_type"))
        except (ModelError, OSError):
            kind = ""
        fits = [m for m, kinds in READ.items() if kind in kinds]
        for m in fits:
            found[m].append(name)
        if not fits:
            refused.append(name)
    return found, refused


def _candidates(folders: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Yield folders with a config one or two levels down, each name once: the first of the operator's folders wins."""
    seen: set[str] = set()
    for root in folders:
        for pattern in ("*/config.json", "*/*/config.json"):
            for path in sorted(root.glob(pattern)):
                name = path.parent.relative_to(root).as_posix()
                if name not in seen and len(seen) < MOST and path.parent.resolve().is_relative_to(root.resolve()):
                    seen.add(name)
                    yield name, path.parent


def source_of(modality: str, choice: str) -> EncoderSource | None:
    """Return the encoder that was chosen of those offered; None leaves the modality out."""
    if choice == DEFAULT:
        return DEFAULT_SOURCES[modality]
    return None if choice == NONE else EncoderSource("directory", choice)


def sizes(specs: Mapping[str, TokenSpec], classes: int) -> dict[str, int]:
    """Return the number of weights of every strategy that can read such tokens; nothing is allocated for them."""
    with torch.device("meta"):
        return {
            name: head(specs, classes, HeadSettings()).parameter_count()
            for name, head in strategy.items()
            if head.reads(specs)
        }
