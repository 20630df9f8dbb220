"""Whole models from the model hub, where the operator passed `--allow-hub`: data only, into a folder of real files.

What was fetched is then checked as any other directory is. No code is ever fetched, nor weights of another format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusion_core.errors import CallError, ModelError

NAME = re.compile(r"(?P<org>\w[\w.-]{0,95})/(?P<name>\w[\w.-]{0,95})(@(?P<revision>\w[\w./-]{0,199}))?", re.ASCII)
#: What is read of a model: settings, the vocabulary, and weights, all in the repository's own folder.
FETCHED = ("*.json", "model*.safetensors", "*.txt", "tokenizer.model", "spiece.model", "sentencepiece*.model")
NEVER = ("*/*", "*.py", "*.pyc", "*.so", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.onnx",
         "*.gguf")  # fmt: skip
MAX_BYTES = 200_000_000_000
#: Beside a folder that was fetched whole: it can be used when the hub cannot be reached.
WHOLE = ".fetched"

Say = Callable[[str], None]


def located(model: Path, allowed: bool, say: Say, cache: Path | None = None) -> Path:
    """Return the folder of a model: the folder itself where there is one, else what the hub has under that name.

    say: is told what is fetched. cache: where models are kept (default: in the user's cache folder). Raises CallError
    for a name of the hub when the hub is not allowed, ModelError when it cannot be fetched.
    """
    named = NAME.fullmatch(str(model))
    if model.exists() or named is None or ".." in str(model):
        return model
    if not allowed:
        raise CallError(f"there is no folder {str(model)!r}; if it names a model on the hub, pass --allow-hub")
    return _fetched(named["org"], named["name"], named["revision"], cache or default_folder(), say)


def default_folder() -> Path:
    """Return where fetched models are kept: `fusion-lens/models` in the user's cache folder (XDG)."""
    from fusion_core.token_cache import default_folder as tokens

    return tokens().parent / "models"


def _fetched(org: str, name: str, revision: str | None, cache: Path, say: Say) -> Path:
    from huggingface_hub import snapshot_download

    folder = cache / (f"{org}@{revision.replace('/', '--')}" if revision else org) / name
    whole = folder.with_name(name + WHOLE)
    how: dict[str, Any] = {
        "repo_id": f"{org}/{name}",
        "revision": revision,
        "local_dir": folder,
        "allow_patterns": list(FETCHED),
        "ignore_patterns": list(NEVER),
    }
    shown = f"{org}/{name}" + (f"@{revision}" if revision else "")
    try:
        _announce(shown, folder, snapshot_download(**how, dry_run=True), say)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole.unlink(missing_ok=True)
        snapshot_download(**how)
        whole.touch()
    except ModelError:
        raise
    except Exception as error:  # the hub's client raises what its transport raises
        if not whole.is_file():
            raise ModelError(f"{shown} cannot be fetched from the model hub ({type(error).__name__})") from error
        say(f"the model hub does not answer ({type(error).__name__}): {shown} as it was fetched before, in {folder}")
    return folder


def _announce(shown: str, folder: Path, planned: Any, say: Say) -> None:
    """Say what is fetched and how large it is; raises ModelError for more than is read of any model."""
    from fusion_core.words import size

    missing = [file for file in planned if file.will_download]
    total = sum(file.file_size or 0 for file in missing)
    if total > MAX_BYTES:
        raise ModelError(f"{shown} is {size(total)}; at most {size(MAX_BYTES)} are fetched", "model_refused")
    if missing:
        say(f"fetching {len(missing)} files ({size(total)}) of {shown} from the model hub into {folder}")
