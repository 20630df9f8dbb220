"""`trace`: explain one record."""

from __future__ import annotations

import argparse

from fusion_core.commands.flags import Verbs, emit, model_flags, open_model, verb

#: Written out: the registry would load torch for a line of help. A test holds it to the registry.
METHODS = (
    "integrated_gradients, gradient_shap, input_x_gradient, smooth_grad, occlusion, feature_ablation, "
    "shapley_sampling, kernel_shap, grad_cam; all for those that work at the seam"
)


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    trace = verb(verbs, "trace", run_trace, "explain one record")
    model_flags(trace)
    trace.add_argument("--id", required=True)
    trace.add_argument("--strategy", default="", metavar="NAME|all")
    trace.add_argument("--method", default="integrated_gradients", metavar="NAME|all", help=METHODS)
    trace.add_argument("--seam", default="fusion", choices=("input", "fusion"))
    trace.add_argument("--target", metavar="CLASS", help="class to explain (default: each strategy's own answer)")
    trace.add_argument("--against", metavar="CLASS", help="class to contrast it with, in attributions")
    trace.add_argument("--policy", default="marginal", metavar="NAME", help="how a modality is removed")
    trace.add_argument("--randomise", action="store_true", help="compare maps with those of heads of random weights")
    trace.add_argument("--full", action="store_true", help="with attention weights")


def run_trace(given: argparse.Namespace) -> int:
    """Explain one record under one or all strategies."""
    from fusion_core.errors import RecordError
    from fusion_core.lines import predict_line, trace_line
    from fusion_core.model import chosen_strategies
    from fusion_core.question import Question
    from fusion_core.reading.records import read
    from fusion_core.trace import trace_record
    from fusion_core.types import Failure

    model = open_model(given)
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
