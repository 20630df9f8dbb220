"""The command line: JSON lines on standard output, words on standard error.

Exit codes: 0 all done; 2 the call, model or file cannot be used; 3 done, but some records ended as errors.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_core.errors import CODES, CallError, FusionError

#: Written out: the registry would load torch for a line of help. A test holds it to the registry.
METHODS = (
    "integrated_gradients, gradient_shap, input_x_gradient, smooth_grad, occlusion, feature_ablation, "
    "shapley_sampling, kernel_shap, grad_cam; all for those that work at the seam"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    parser = build_parser()
    try:
        given = parser.parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
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

    fit = _verb(verbs, "fit", run_fit, "train every strategy on a labelled record set")
    fit.add_argument("--records", required=True, type=Path, metavar="DIR")
    fit.add_argument("--validation", type=Path, metavar="DIR", help="default: every fifth record of --records")
    fit.add_argument("--out", required=True, type=Path, metavar="BUNDLE")
    fit.add_argument("--strategies", default="all", metavar="all|a,b")
    fit.add_argument("--encoders", type=Path, metavar="FILE", help="JSON: {modality: {source, name}}")
    fit.add_argument("--seed", type=int, default=0)
    _encoder_flags(fit)

    predict = _verb(verbs, "predict", run_predict, "answer every record")
    _model_flags(predict)
    predict.add_argument("--strategy", default="", metavar="NAME|all")

    trace = _verb(verbs, "trace", run_trace, "explain one record")
    _model_flags(trace)
    trace.add_argument("--id", required=True)
    trace.add_argument("--strategy", default="", metavar="NAME|all")
    trace.add_argument("--method", default="integrated_gradients", metavar="NAME|all", help=METHODS)
    trace.add_argument("--seam", default="fusion", choices=("input", "fusion"))
    trace.add_argument("--target", metavar="CLASS", help="class to explain (default: each strategy's own answer)")
    trace.add_argument("--against", metavar="CLASS", help="class to contrast it with, in attributions")
    trace.add_argument("--policy", default="marginal", metavar="NAME", help="how a modality is removed")
    trace.add_argument("--randomise", action="store_true", help="compare maps with those of heads of random weights")
    trace.add_argument("--full", action="store_true", help="with attention weights")

    diagnose = _verb(verbs, "diagnose", run_diagnose, "name the cause of every record's trouble, and of many's")
    _model_flags(diagnose)
    diagnose.add_argument("--reference", type=Path, metavar="DIR|ZIP|FILE",
                          help="clean held-out records: make the bundle's reference from them")  # fmt: skip

    doctor = _verb(verbs, "doctor", run_doctor, "say what a model and this installation can do")
    doctor.add_argument("--model", type=Path, metavar="BUNDLE")
    doctor.add_argument("--codes", action="store_true", help="list every error code")
    _encoder_flags(doctor)
    return parser


def _verb(verbs: Any, name: str, run: Any, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=words, description=words)
    parser.set_defaults(run=run)
    return parser


def _model_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE")
    parser.add_argument("--records", required=True, type=Path, metavar="DIR|ZIP|FILE")
    _encoder_flags(parser)


def _encoder_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoder-root", type=Path, action="append", default=[], metavar="DIR",
                        help="a folder that encoder directories may be read from")  # fmt: skip
    parser.add_argument("--allow-hub", action="store_true", help="allow encoders from the model hub")


def emit(line: dict[str, Any]) -> None:
    """Print one JSON line, ASCII only, so that no mark inside a text can look like the end of a line."""
    print(json.dumps(line, allow_nan=False), flush=True)


def say(words: str) -> None:
    """Print words for people on standard error."""
    print(words, file=sys.stderr, flush=True)


def _roots(given: argparse.Namespace) -> Any:
    from fusion_core.encoders import EncoderRoots

    defaults = EncoderRoots()
    return EncoderRoots((*given.encoder_root, *defaults.folders), given.allow_hub)


def _open(given: argparse.Namespace) -> Any:
    from fusion_core.bundle import load

    return load(given.model, _roots(given))


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
        _roots(given),
        _progress,
    )
    for refusal in refused:
        emit({"kind": "error", "id": refusal.id, "code": refusal.code, "message": refusal.message})
    emit(line)
    return 3 if refused else 0


def _progress(what: str, done: int, total: int) -> None:
    say(f"{what} {done}/{total}")


def run_predict(given: argparse.Namespace) -> int:
    """Answer every record, in order."""
    from fusion_core.answers import answer_rows
    from fusion_core.lines import predict_line
    from fusion_core.model import chosen_strategies
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

    model = _open(given)
    strategies = chosen_strategies(model, given.strategy)
    failed = False
    for answer in answer_rows(model, read(given.records).rows, strategies):
        failed = failed or isinstance(answer, Failure)
        emit(predict_line(answer))
    return 3 if failed else 0


def run_trace(given: argparse.Namespace) -> int:
    """Explain one record under one or all strategies."""
    from fusion_core.errors import RecordError
    from fusion_core.lines import predict_line, trace_line
    from fusion_core.model import chosen_strategies
    from fusion_core.question import Question
    from fusion_core.reading.records import read
    from fusion_core.trace import trace_record
    from fusion_core.types import Failure

    model = _open(given)
    question = Question(
        *(given.method, given.seam, given.target),
        policy=given.policy,
        against=given.against,
        judge=True,
        randomise=given.randomise,
    )
    strategies = chosen_strategies(model, given.strategy)
    rows = read(given.records)
    refused = next((r for r in rows.refusals if r.id == given.id), None)
    if refused is not None:
        emit(predict_line(Failure(refused.id, None, refused.code, refused.message)))
        return 3
    record = rows.find(given.id)
    try:
        found = trace_record(model, record, strategies, question)
    except RecordError as error:
        emit(predict_line(Failure(record.id, None, error.code, str(error))))
        return 3
    for trace in found:
        emit(predict_line(trace) if isinstance(trace, Failure) else trace_line(trace, given.full))
    return 3 if any(isinstance(trace, Failure) for trace in found) else 0


def run_diagnose(given: argparse.Namespace) -> int:
    """Diagnose every record, in order, then say what is wrong with many of them."""
    from fusion_core.diagnose.build import build_reference
    from fusion_core.diagnose.lines import error_line, finding_line, record_line
    from fusion_core.diagnose.population import findings
    from fusion_core.diagnose.reference_file import load_reference, save_reference
    from fusion_core.diagnose.run import examine_rows
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

    model = _open(given)
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


def run_doctor(given: argparse.Namespace) -> int:
    """Say what can be done here, one capability a line."""
    from fusion_core.doctor import capabilities

    if given.codes:
        for code, meaning in CODES.items():
            emit({"kind": "code", "code": code, "meaning": meaning})
        return 0
    if given.model is not None and not given.model.exists():
        raise CallError(f"there is no bundle at {given.model.name!r}")
    for line in capabilities(_open(given) if given.model is not None else None):
        emit(line)
    return 0
