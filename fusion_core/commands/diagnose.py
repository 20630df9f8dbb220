"""`diagnose`: name the cause of every record's trouble, and of many's."""

from __future__ import annotations

import argparse
from pathlib import Path

from fusion_core.commands.flags import Verbs, emit, model_flags, open_model, say, verb


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    diagnose = verb(verbs, "diagnose", run_diagnose, "name the cause of every record's trouble, and of many's")
    model_flags(diagnose)
    diagnose.add_argument("--reference", type=Path, metavar="DIR|ZIP|FILE",
                          help="clean held-out records: make the bundle's reference from them")  # fmt: skip


def run_diagnose(given: argparse.Namespace) -> int:
    """Diagnose every record, in order, then say what is wrong with many of them."""
    from fusion_core.diagnose.build import build_reference
    from fusion_core.diagnose.lines import error_line, finding_line, record_line
    from fusion_core.diagnose.population import findings
    from fusion_core.diagnose.reference_file import load_reference, save_reference
    from fusion_core.diagnose.run import examine_rows
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

    model = open_model(given)
    if given.reference is not None:
        save_reference(build_reference(model, read(given.reference).records, _progress), given.model)
    reference = load_reference(given.model)
    examined, failed = [], False
    for found in examine_rows(model, reference, read(given.records).rows):
        if isinstance(found, Failure):
            failed = True
            emit(error_line(found))
        else:
            examined.append(found.row())
            emit(record_line(found.diagnosis))
    for finding in findings(examined, reference):
        emit(finding_line(finding))
    return 3 if failed else 0


def _progress(what: str, done: int, total: int) -> None:
    say(f"{what} {done}/{total}")
