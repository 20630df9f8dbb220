"""`fit`: train every strategy on a labelled record set."""

from __future__ import annotations

import argparse
from pathlib import Path

from fusion_core.commands.flags import Verbs, emit, encoder_flags, roots, say, verb


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    fit = verb(verbs, "fit", run_fit, "train every strategy on a labelled record set")
    fit.add_argument("--records", required=True, type=Path, metavar="DIR")
    fit.add_argument("--validation", type=Path, metavar="DIR", help="default: every fifth record of --records")
    fit.add_argument("--out", required=True, type=Path, metavar="BUNDLE")
    fit.add_argument("--strategies", default="all", metavar="all|a,b")
    fit.add_argument("--encoders", type=Path, metavar="FILE", help="JSON: {modality: {source, name}}")
    fit.add_argument("--seed", type=int, default=0)
    encoder_flags(fit)


def run_fit(given: argparse.Namespace) -> int:
    """Fit a bundle; the last line tells each strategy's figures."""
    from fusion_core.fitting import fit_bundle

    line, refused = fit_bundle(
        given.records,
        given.out,
        given.validation,
        given.strategies,
        given.encoders,
        given.seed,
        roots(given),
        _progress,
    )
    for refusal in refused:
        emit({"kind": "error", "id": refusal.id, "code": refusal.code, "message": refusal.message})
    emit(line)
    return 3 if refused else 0


def _progress(what: str, done: int, total: int) -> None:
    say(f"{what} {done}/{total}")
