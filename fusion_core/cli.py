"""The command line: JSON lines on standard output, words on standard error.

Exit codes: 0 all done; 2 the call, model or file cannot be used; 3 done, but some records ended as errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fusion_core.commands import ADDS
from fusion_core.commands.flags import locate_model, say
from fusion_core.errors import FusionError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    parser = build_parser()
    try:
        given = parser.parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        locate_model(given)
        return int(given.run(given))
    except FusionError as error:
        say(f"{given.verb}: {error}")
        return 2
    except BrokenPipeError:  # whoever read our lines went away before the end
        sys.stderr.close()
        return 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every verb and flag."""
    parser = argparse.ArgumentParser(
        prog="python -m fusion_core", description="See why a fused multimodal model fails."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in ADDS:
        add(verbs)
    return parser
