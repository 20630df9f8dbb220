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
    diagnose.add_argument("--log-strategy", default="", metavar="NAME",
                          help="whose rows of the run (default: the reference's, else the run's only)")  # fmt: skip
    diagnose.add_argument("--reference", type=Path, metavar="DIR|ZIP|FILE",
                          help="at least 50 clean held-out records: make the model's reference of them")  # fmt: skip
    encoder_flags(diagnose)


def run_diagnose(given: argparse.Namespace) -> int:
    """Diagnose every record, in order, then say what is wrong with many of them."""
    from fusion_core.diagnose.reference_file import load_reference

    if (given.records is None) == (given.log is None):
        raise CallError("give either --records or --log")
    if (given.run_name or given.log_strategy) and given.log is None:
        raise CallError(f"{'--run' if given.run_name else '--log-strategy'} names what to take of a --log")
    model = open_model(given, lambda: _donors(given))
    left_out = given.reference is not None and _new_reference(given, model)
    failed = _run(given, model) if given.log is not None else _records(given, model, load_reference(given.model, model))
    return 3 if failed or left_out else 0


def _donors(given: argparse.Namespace) -> Any:
    """Return what a model without donors draws them from: clean records where there are some."""
    from fusion_core.diagnose.logged import some_records
    from fusion_core.log.runs import only_run
    from fusion_core.log.store import Store
    from fusion_core.reading.records import read

    named = given.reference or given.records
    if named is not None:
        return read(named).records
    with Store(given.log, given.run_name or only_run(given.log)) as store:
        return some_records(store, given.log_strategy)


def _new_reference(given: argparse.Namespace, model: Any) -> bool:
    """Make the model's reference; return whether records had to be left out, after a line for each."""
    from fusion_core.diagnose.build import reference_of_rows
    from fusion_core.diagnose.lines import error_line
    from fusion_core.diagnose.reference_file import kept_of, save_reference
    from fusion_core.reading.records import read

    kept_of(given.model, model)
    source = read(given.reference)  # keeps unpacked media
    reference, failures = reference_of_rows(model, source.rows, _progress)
    for failure in failures:
        emit(error_line(failure))
    save_reference(reference, given.model, model)
    return bool(failures)


def _records(given: argparse.Namespace, model: Any, reference: Any) -> bool:
    from fusion_core.diagnose.lines import error_line, finding_line, record_line
    from fusion_core.diagnose.population import findings
    from fusion_core.diagnose.run import examine_rows
    from fusion_core.reading.records import read
    from fusion_core.reading.texts import quoted
    from fusion_core.types import Failure

    source = read(given.records)
    if not source.rows:
        raise CallError(f"{quoted(given.records.name)} has no rows")
    examined, failed = [], False
    for found in examine_rows(model, reference, source.rows):
        if isinstance(found, Failure):
            failed = True
            emit(error_line(found))
        else:
            examined.append(found.row())
            emit(record_line(found.diagnosis))
    for finding in findings(examined, reference, _progress):
        emit(finding_line(finding))
    return failed


def _run(given: argparse.Namespace, model: Any) -> bool:
    from fusion_core.diagnose.lines import error_line, finding_line, record_line
    from fusion_core.diagnose.log_run import diagnose_log
    from fusion_core.log.runs import only_run

    run = given.run_name or only_run(given.log)
    found = diagnose_log(model, given.model, given.log, run, _progress, given.log_strategy)
    for failure in found.unread:
        emit(error_line(failure))
    for said in found.said:
        emit(record_line(said))
    for finding in found.findings:
        emit(finding_line(finding))
    return bool(found.unread)


def _progress(what: str, done: int, total: int) -> None:
    if done % 50 == 0 or done == total or what == "scanned":
        say(f"{what} {done}/{total}")
