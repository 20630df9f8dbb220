"""Tokens on disk by content: what an encoder made of a text, image or clip, so that nothing is encoded twice.

FOLDER/<modality>-<key>/ab/<sha256 of the content>.tokens; the key is a hash of the encoder's weights, settings and
preprocessing. Entries carry a checksum: one that is cut or changed counts as missing. Tokens say much of what was
encoded: the folder is its owner's alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fusion_core.encoders import Encoder
from fusion_core.errors import CallError
from fusion_core.types import Record, Tokens

FORMAT = 1  # raise it when an encoder makes other tokens of the same input
MAX_BYTES = 8_000_000_000
MAX_ENTRY_BYTES = 100_000_000
KEPT_SHARE = 0.9  # of the bound, once it was passed: not every fit has to make room
_STAMP = 8  # bytes before the safetensors: their CRC-32 and a mark of the format
_MARK = b"FLT1"


def default_folder() -> Path:
    """Return where the command line keeps tokens: `fusion-lens/tokens` in the user's cache folder (XDG)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "fusion-lens" / "tokens"


def content_key(record: Record, modality: str) -> str:
    """Return the SHA-256 of what a record has of a modality; of nothing where it is absent."""
    if modality == "text":
        return hashlib.sha256((record.text or "").encode("utf-8", "surrogatepass")).hexdigest()
    media = record.image if modality == "image" else record.audio
    return media.sha256 if media else hashlib.sha256(b"").hexdigest()


def encoder_key(encoder: Encoder) -> str:
    """Return a hash of all that decides what an encoder makes of its input."""
    spec = asdict(encoder.spec)
    about = [FORMAT, encoder.source.sha256, encoder.source.settings_sha256, encoder.preprocessing, spec]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


class TokenCache:
    """A folder of tokens, bounded: entries whose last use is longest ago go first. Losing any of it costs only time."""

    def __init__(self, folder: Path, encoders: Mapping[str, Encoder], most: int = MAX_BYTES) -> None:
        self.folder, self.most, self.written = folder, most, 0
        self._places = {m: folder / f"{m}-{encoder_key(encoder)}" for m, encoder in encoders.items()}
        self._specs = {m: encoder.spec for m, encoder in encoders.items()}
        if folder.exists() and not folder.is_dir():
            raise CallError(f"the cache {folder.name!r} is a file; give a folder")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CallError(f"the cache folder {folder.name!r} cannot be made: {error.strerror}") from error

    def get(self, modality: str, content: str) -> Tokens | None:
        """Return the float16 tokens `[1, T, D]` of a content; None where there are none, or they are damaged."""
        path = self._path(modality, content)
        try:
            if path.stat().st_size > MAX_ENTRY_BYTES:
                return None
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        if data[:4] != _MARK or int.from_bytes(data[4:_STAMP], "little") != zlib.crc32(memoryview(data)[_STAMP:]):
            return None
        try:
            return self._tokens(modality, load(data[_STAMP:]))
        except (SafetensorError, KeyError, ValueError):
            return None

    def put(self, modality: str, content: str, tokens: Tokens) -> None:
        """Keep tokens `[1, T, D]`, whole or not at all; on a full or read-only disk they are not kept."""
        parts = {"values": tokens.values[0].half().contiguous()}
        if tokens.raw is not None:
            parts["raw"] = tokens.raw[0].half().contiguous()
        if tokens.positions is not None:
            parts["positions"] = tokens.positions[0].int().contiguous()
        body = save(parts)
        path = self._path(modality, content)
        temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_bytes(_MARK + zlib.crc32(body).to_bytes(4, "little") + body)
            os.replace(temporary, path)
            self.written += len(body)
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def trim(self) -> None:
        """Make room when the folder outgrew its bound, and drop what a killed process left half written."""
        if not self.written:
            return
        self.written = 0
        found = []
        for path in self.folder.glob("*/*/*"):
            with suppress(OSError):
                there = path.stat()
                found.append((there.st_mtime_ns, there.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self.most:
            return
        for _, size, path in sorted(found):
            if total <= KEPT_SHARE * self.most:
                return
            with suppress(OSError):
                path.unlink()
                total -= size

    def _path(self, modality: str, content: str) -> Path:
        return self._places[modality] / content[:2] / f"{content}.tokens"

    def _tokens(self, modality: str, parts: Mapping[str, Tensor]) -> Tokens:
        spec, values, raw = self._specs[modality], parts["values"], parts.get("raw")
        widths = [(values, spec.width)] + ([(raw, spec.raw)] if raw is not None else [])
        fits = all(t.ndim == 2 and len(t) == len(values) > 0 and t.shape[1] == width for t, width in widths)
        if not fits or (raw is None) == (spec.raw > 0) or any(t.dtype != torch.float16 for t, _ in widths):
            raise ValueError("tokens of another encoder")
        places = parts.get("positions")
        if (places is None) != (spec.places == 0) or (
            places is not None and (places.shape != (len(values), spec.places) or places.dtype != torch.int32)
        ):
            raise ValueError("positions of another encoder")
        mask = torch.ones(1, len(values), dtype=torch.bool)
        return Tokens(values[None], mask, None if raw is None else raw[None], None if places is None else places[None])
