"""What several verbs share: flags that name a model and records, and the two ways to speak."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verbs = Any  # argparse gives the collection of verbs no public name
Run = Callable[[argparse.Namespace], int]


def verb(verbs: Verbs, name: str, run: Run, words: str) -> argparse.ArgumentParser:
    """Add a verb that is carried out by `run`."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=words, description=words)
    parser.set_defaults(run=run)
    return parser


def model_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name a model, a record set and where encoders may come from."""
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE")
    parser.add_argument("--records", required=True, type=Path, metavar="DIR|ZIP|FILE")
    encoder_flags(parser)


def encoder_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where encoders may come from."""
    parser.add_argument("--encoder-root", type=Path, action="append", default=[], metavar="DIR",
                        help="a folder that encoder directories may be read from")  # fmt: skip
    parser.add_argument("--allow-hub", action="store_true", help="allow encoders from the model hub")


def emit(line: dict[str, Any]) -> None:
    """Print one JSON line, ASCII only, so that no mark inside a text can look like the end of a line."""
    print(json.dumps(line, allow_nan=False), flush=True)


def say(words: str) -> None:
    """Print words for people on standard error."""
    print(words, file=sys.stderr, flush=True)


def roots(given: argparse.Namespace) -> Any:
    """Return where encoders may come from."""
    from fusion_core.encoders import EncoderRoots

    defaults = EncoderRoots()
    return EncoderRoots((*given.encoder_root, *defaults.folders), given.allow_hub)


def open_model(given: argparse.Namespace) -> Any:
    """Load the model that `--model` names."""
    from fusion_core.bundle import load

    return load(given.model, roots(given))
