"""`diagnose`: name the cause of every record's trouble, and of many's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fusion_core.commands.flags import Verbs, emit, encoder_flags, named_model, open_model, say, verb
from fusion_core.errors import CallError


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    diagnose = verb(verbs, "diagnose", run_diagnose, "name the cause of every record's trouble, and of many's")
    named_model(diagnose)
    diagnose.add_argument("--records", type=Path, metavar="DIR|ZIP|FILE")
    diagnose.add_argument("--log", type=Path, metavar="LOG", help="diagnose a run of it, and keep what is found there")
    diagnose.add_argument("--run", dest="run_name", default="", metavar="NAME", help="default: the log's only run")
    diagnose.add_argument("--reference", type=Path, metavar="DIR|ZIP|FILE",
                          help="clean held-out records: make the bundle's reference from them")  # fmt: skip
    encoder_flags(diagnose)


def run_diagnose(given: argparse.Namespace) -> int:
    """Diagnose every record, in order, then say what is wrong with many of them."""
    from fusion_core.diagnose.build import build_reference
    from fusion_core.diagnose.reference_file import load_reference, must_be_bundle, save_reference
    from fusion_core.reading.records import read

    if (given.records is None) == (given.log is None):
        raise CallError("give either --records or --log")
    if given.run_name and given.log is None:
        raise CallError("--run names a run of a --log")
    model = open_model(given)
    if given.reference is not None:
        must_be_bundle(given.model)
        save_reference(build_reference(model, read(given.reference).records, _progress), given.model)
    return _records(given, model, load_reference(given.model)) if given.log is None else _run(given, model)


def _records(given: argparse.Namespace, model: Any, reference: Any) -> int:
    from fusion_core.diagnose.lines import error_line, finding_line, record_line
    from fusion_core.diagnose.population import findings
    from fusion_core.diagnose.run import examine_rows
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

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


def _run(given: argparse.Namespace, model: Any) -> int:
    from fusion_core.diagnose.lines import error_line, finding_line, record_line
    from fusion_core.diagnose.log_run import diagnose_log
    from fusion_core.log.runs import only_run

    found = diagnose_log(model, given.model, given.log, given.run_name or only_run(given.log), _progress)
    for failure in found.unread:
        emit(error_line(failure))
    for said in found.said:
        emit(record_line(said))
    for finding in found.findings:
        emit(finding_line(finding))
    return 3 if found.unread else 0


def _progress(what: str, done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        say(f"{what} {done}/{total}")
