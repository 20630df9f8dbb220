"""Pieces of a comparison on disk: each there in full or not at all, and measured again when it is damaged.

A file holds the SHA-256 of what follows in hex, a line break, and the content: JSON, or arrays as NumPy's npz, which is
never read with pickles.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fusion_core.compare.result_file import EXACT, built, plain
from fusion_core.log.durable import replace_file, said_as_call_error
from fusion_core.reading.metadata import parse_object
from fusion_core.reading.texts import quoted

MOST_BYTES = 1_000_000_000
Piece = TypeVar("Piece")
Arrays = dict[str, np.ndarray]


class Store:
    """Pieces under `folder/<key>/`; the key stands for the model, the records and all settings they hang on."""

    def __init__(self, folder: Path, key: str) -> None:
        self.place = folder / key
        with said_as_call_error(quoted(folder.name)):
            self.place.mkdir(parents=True, exist_ok=True)

    def figures(self, name: str, kind: Any, measure: Callable[[], Piece]) -> Piece:
        """Return a piece of results of a type, measured unless it is kept."""
        kept = self._read(name)
        if kept is not None:
            try:
                found: Piece = built(kind, parse_object(kept)["piece"])
                return found
            except (ValueError, KeyError, RecursionError):
                pass
        piece = measure()
        self._write(name, json.dumps({"piece": plain(piece, EXACT)}, allow_nan=False).encode())
        return piece

    def arrays(self, name: str, measure: Callable[[], Arrays]) -> Arrays:
        """Return a piece of arrays, measured unless it is kept."""
        kept = self._read(name)
        if kept is not None:
            try:
                with np.load(io.BytesIO(kept), allow_pickle=False) as file:
                    return {key: file[key] for key in file.files}
            except (ValueError, OSError, KeyError, zipfile.BadZipFile):
                pass
        piece = measure()
        buffer = io.BytesIO()
        np.savez(buffer, **piece)  # type: ignore[arg-type]
        self._write(name, buffer.getvalue())
        return piece

    def kept(self, name: str) -> bool:
        """Return whether a piece is there, undamaged."""
        return self._read(name) is not None

    def _path(self, name: str) -> Path:
        return self.place / f"{name}.piece"

    def _read(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            if path.stat().st_size > MOST_BYTES:
                return None
            said, _, content = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest().encode() == said else None

    def _write(self, name: str, content: bytes) -> None:
        replace_file(self._path(name), hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


class Unkept(Store):
    """Keeps nothing: every piece is measured when it is asked for."""

    def __init__(self) -> None:
        pass

    def _read(self, name: str) -> bytes | None:
        return None

    def _write(self, name: str, content: bytes) -> None:
        return None
