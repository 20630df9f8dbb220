"""`fit`: train every strategy on a labelled record set, on a log, or on another model's answers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fusion_core.commands.flags import Verbs, cache_flags, cache_of, emit, encoder_flags, roots, say, verb


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    fit = verb(verbs, "fit", run, "train every strategy on labelled records, or on another model's answers")
    fit.add_argument("--records", type=Path, metavar="DIR|ZIP|FILE")
    fit.add_argument("--log", type=Path, metavar="LOG", help="fit on a log's records instead of --records")
    fit.add_argument("--run", dest="run_name", default="", metavar="NAME", help="of the log (default: its only one)")
    fit.add_argument("--validation", type=Path, metavar="DIR|ZIP|FILE", help="default: every fifth record")
    fit.add_argument("--out", required=True, type=Path, metavar="BUNDLE")
    fit.add_argument("--strategies", default="all", metavar="all|a,b")
    fit.add_argument("--encoders", type=Path, metavar="FILE", help="JSON: {modality: {source, name}}")
    fit.add_argument(
        "--encoders-of", type=Path, metavar="HF_DIR|HUB_ID", help="those of a foreign model, compared with it"
    )
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--minutes", type=float, metavar="N", help="budget of training, all strategies together")
    fit.add_argument("--labels", type=Path, metavar="FILE", help='JSON lines of {"id", "label"}; null leaves out')
    fit.add_argument("--distil", action="store_true", help="learn a model's own answers instead of labels")
    fit.add_argument(
        "--teacher", type=Path, metavar="BUNDLE|HF_DIR|HUB_ID", help="with --records: whose answers are learned"
    )
    fit.add_argument("--teacher-strategy", default="", metavar="NAME", help="default: the bundle's, or the log's only")
    fit.add_argument("--teacher-labels", default="", metavar="A,B,C",
                     help="classes a foreign teacher chooses among (default: the records' labels)")  # fmt: skip
    cache_flags(fit)
    encoder_flags(fit)


def run(given: argparse.Namespace) -> int:
    """Fit a bundle; the last line tells each strategy's figures."""
    from fusion_core.fitting import fit_line, run_fit

    plan = _plan(given)
    outcome = run_fit(plan, given.out, _Told(), roots(given))
    for refusal in outcome.refused:
        emit({"kind": "error", "id": refusal.id, "code": refusal.code, "message": refusal.message})
    for note in outcome.notes:
        say(note)
    emit(fit_line(outcome.model, outcome.out, outcome.stopped))
    return 3 if outcome.refused else 0


def _plan(given: argparse.Namespace) -> Any:
    from fusion_core.errors import CallError
    from fusion_core.fit_plan import FitPlan
    from fusion_core.fit_records import read_labels
    from fusion_core.fitting import strategy_names
    from fusion_core.hub import located
    from fusion_core.reading.records import read

    _check(given)
    if given.minutes is not None and not given.minutes > 0:
        raise CallError(f"--minutes {given.minutes:g}; give more than 0")
    cache = cache_of(given)
    for name in ("encoders_of", "teacher"):
        if getattr(given, name) is not None:
            setattr(given, name, located(getattr(given, name), given.allow_hub, say))
    records, teacher = _source(given, cache)
    return FitPlan(
        name=given.out.name,
        records=records,
        validation=read(given.validation) if given.validation else None,
        # All those that the encoders can feed, or by name: then one that they cannot feed is refused.
        strategies=() if given.strategies == "all" else tuple(strategy_names(given.strategies)),
        sources=_sources(given.encoders),
        model=given.encoders_of,
        seed=given.seed,
        minutes=given.minutes,
        cache=cache,
        teacher=teacher,
        labels=read_labels(given.labels) if given.labels else {},
    )


def _check(given: argparse.Namespace) -> None:
    from fusion_core.errors import CallError

    if (given.records is None) == (given.log is None):
        raise CallError("give either --records or --log")
    if given.run_name and given.log is None:
        raise CallError("--run names a run of a --log")
    if (given.teacher is not None or given.teacher_strategy or given.teacher_labels) and not given.distil:
        raise CallError("--teacher, --teacher-strategy and --teacher-labels are for --distil")
    if given.distil and (given.teacher is None) == (given.log is None):
        raise CallError("--distil learns the answers of a --log, or of a --teacher BUNDLE|HF_DIR on --records")
    if given.teacher_labels and given.teacher is None:
        raise CallError("--teacher-labels says what a foreign --teacher chooses among; a log has its own classes")
    if given.encoders is not None and given.encoders_of is not None:
        raise CallError("give either --encoders or --encoders-of")
    if given.distil and given.log is not None and given.validation is not None:
        raise CallError("--distil of a --log holds out records of the log itself; leave out --validation")


def _source(given: argparse.Namespace, cache: Path | None) -> tuple[Any, Any]:
    """Return the records to fit on, and the teacher whose answers are learned."""
    from fusion_core.asked import labels_of
    from fusion_core.fit_records import open_teacher, records_of_log, teacher_of
    from fusion_core.reading.records import read

    if given.log is not None:
        return records_of_log(given.log, given.run_name, given.distil, given.teacher_strategy)
    records = read(given.records)
    if not given.distil:
        return records, None
    asked = [*records.records, *(read(given.validation).records if given.validation else ())]
    told = _Told("teacher")
    teacher = open_teacher(given.teacher, roots(given), asked, labels_of(given.teacher_labels))
    return records, teacher_of(teacher, asked, given.teacher_strategy, cache, told.progress)


def _sources(file: Path | None) -> dict[str, Any]:
    """Return the encoder per modality that a file names; None where it leaves one out."""
    from fusion_core.encoders.source import parse_sources
    from fusion_core.errors import CallError

    if file is None:
        return {}
    try:
        return dict(parse_sources(json.loads(file.read_text("utf-8"))))
    except (OSError, ValueError, RecursionError) as error:
        raise CallError(f"encoder file {file.name!r} cannot be read as JSON") from error


class _Told:
    """Says on standard error how far a fit is: every pass, and every few hundred records."""

    def __init__(self, who: str = "") -> None:
        self.who, self.last = who, -1

    def __call__(self, step: Any) -> bool:
        if step.stage != "train":
            self.progress(step.stage, step.done, step.of)
            return True
        last = step.curves[step.strategy][-1]
        left = f", {step.seconds_left:.0f} s left at most" if step.seconds_left is not None else ""
        say(
            f"{step.strategy}: epoch {step.done}/{step.of}, "
            f"validation loss {last.loss:.3f}, accuracy {last.accuracy:.3f}{left}"
        )
        return True

    def progress(self, what: str, done: int, of: int) -> None:
        """Say a stretch of work in twentieths."""
        share = 20 * done // of if of else 20
        if share != self.last:
            self.last = share
            say(f"{self.who} {what} {done}/{of}".strip())
