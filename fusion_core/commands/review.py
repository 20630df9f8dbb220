"""`review`: records whose label the other records argue against."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from fusion_core.commands.flags import Verbs, cache_flags, cache_of, emit, model_flags, open_model, say, verb


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    review = verb(verbs, "review", run, "list the records whose label may be wrong, the most suspect first")
    model_flags(review)
    review.add_argument("--strategy", default="", metavar="NAME", help="whose self-influence (default: the bundle's)")
    review.add_argument("--most", type=int, default=50, metavar="N", help="suspects at most")
    cache_flags(review)


def run(given: argparse.Namespace) -> int:
    """Print one line per suspect, then how many records were reviewed."""
    from fusion_core.reading.records import read
    from fusion_core.review import suspects

    records, model = read(given.records), open_model(given)
    for refusal in records.refusals:
        emit({"kind": "error", "id": refusal.id, "code": refusal.code, "message": refusal.message})
    found = suspects(model, records, given.strategy, cache_of(given), _progress, given.most)
    for suspect in found:
        figures = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(suspect).items()}
        emit({"kind": "suspect", **figures})
    emit({"kind": "review", "records": len(records.records), "suspects": len(found)})
    return 3 if records.refusals else 0


def _progress(what: str, done: int, total: int) -> None:
    say(f"{what} {done}/{total}")
