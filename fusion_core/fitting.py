"""From records to a bundle on disk: read, encode, train every strategy, save, with what a diagnosis refers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fusion_core.bundle import save
from fusion_core.diagnose.build import build_reference
from fusion_core.diagnose.reference_file import drop_reference, save_reference
from fusion_core.encoders import DEFAULT_SOURCES, EncoderRoots, EncoderSource
from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError, FusionError
from fusion_core.fit import FitSettings, draw_background
from fusion_core.fit_course import Course, Task, Tell, best_strategy, train_all
from fusion_core.fit_data import FitData, check_counts, class_counts, fingerprint, fit_data, presence_shares
from fusion_core.fit_facts import FitFacts
from fusion_core.fit_original import with_original
from fusion_core.fit_plan import FitOutcome, FitPlan, FitStep
from fusion_core.foreign import ModelStack, question_of, stack_of
from fusion_core.fusion import strategy
from fusion_core.lines import Line
from fusion_core.model import FusedModel
from fusion_core.tokens import Progress, TokenSet, encode_records
from fusion_core.types import MODALITIES, Record, Refusal

#: Of clean validation records: fewer do not show what is normal, more take longer and show little more.
FEWEST_REFERENCE, MOST_REFERENCE = 50, 600


@dataclass(frozen=True)
class _Encoded:
    train: TokenSet
    validation: TokenSet
    refused: tuple[Refusal, ...]


def run_fit(plan: FitPlan, out: Path, tell: Tell = lambda step: True, roots: EncoderRoots | None = None) -> FitOutcome:
    """Fit a bundle by a plan and save it, with reference statistics for diagnosis.

    tell: hears how far the fit is and returns False to stop it: strategies trained by then are kept and saved.
    Raises CallError when records or classes are too few, a name is unknown, or no strategy is done when it stops.
    """
    if out.exists() and not out.is_dir():
        raise CallError(f"{out.name!r} is a file; a bundle is a folder")
    data = fit_data(plan)
    names = strategies_asked(plan.strategies)
    stack = _stack(plan, data, roots)
    names = readable(names, bool(plan.strategies), stack)
    encoded = _encode(stack, data, plan, tell)
    task = Task(stack.specs, data.classes, encoded.train, encoded.validation, FitSettings(seed=plan.seed), plan.teacher)
    course = train_all(task, names, plan.minutes, tell)
    default = best_strategy(course)
    course, default, without = with_original(stack, data, task, course, default)
    model = _model(plan, data, stack, task, course, default)
    tell(_saving(course, 0, 1))
    drop_reference(out)
    save(model, out)
    notes = _refer(model, data, encoded, out, course, tell)
    refused = (*data.refused, *encoded.refused)
    return FitOutcome(model, out, refused, course.stopped, (*without, *notes))


def strategy_names(argument: str) -> list[str]:
    """Read `all` or names separated by commas; raises CallError for an unknown strategy."""
    if argument == "all":
        return list(strategy)
    names = [part.strip() for part in argument.split(",") if part.strip()]
    if not names:
        raise CallError("no strategy was named; give all, or names separated by commas")
    return strategies_asked(names)


def strategies_asked(names: Sequence[str]) -> list[str]:
    """Return strategies by name, all for none; raises CallError for an unknown one."""
    for name in names:
        strategy[name]
    return list(dict.fromkeys(names)) or list(strategy)


def readable(names: Sequence[str], by_name: bool, stack: EncoderStack) -> list[str]:
    """Leave out what these encoders cannot feed; raises CallError where it was asked for by name."""
    left_out = [name for name in names if not strategy[name].reads(stack.specs)]
    if left_out and by_name:
        raise CallError(f"{', '.join(left_out)} reads low-level features, which these encoders do not all give")
    return [name for name in names if name not in left_out]


def sources_of(plan: FitPlan, records: Sequence[Record]) -> dict[str, EncoderSource]:
    """Return an encoder per modality: those of the plan, else the defaults for what the records have."""
    present = {m for record in records for m in record.present()}
    chosen: dict[str, EncoderSource | None] = {m: DEFAULT_SOURCES[m] for m in MODALITIES if m in present}
    chosen |= plan.sources
    found = {m: source for m in MODALITIES if (source := chosen.get(m)) is not None}
    if not found:
        raise CallError("the records have no modality with an encoder")
    return found


def _stack(plan: FitPlan, data: FitData, roots: EncoderRoots | None) -> EncoderStack:
    wanted = question_of(data.classes)
    if plan.model is not None:
        return ModelStack.whole(plan.model, wanted)
    return stack_of(sources_of(plan, (*data.train, *data.validation)), roots, wanted=wanted)


def _encode(stack: EncoderStack, data: FitData, plan: FitPlan, tell: Tell) -> _Encoded:
    """Encode training and validation records as one stretch of work."""
    total = len(data.train) + len(data.validation)

    def after(before: int) -> Progress:
        def progress(what: str, done: int, of: int) -> None:
            if not tell(FitStep("encode", None, before + done, total, None)):
                raise CallError("the fit was stopped before a strategy was trained; nothing is saved")

        return progress

    train, failed = encode_records(stack, data.train, after(0), plan.cache)
    validation, failed_tests = encode_records(stack, data.validation, after(len(data.train)), plan.cache)
    if not len(validation):
        raise CallError("no record for validation can be read; the first: " + str(failed_tests[0].message))
    check_counts(train.labels, validation.labels, plan.teacher)
    return _Encoded(train, validation, (*failed, *failed_tests))


def _model(plan: FitPlan, data: FitData, stack: EncoderStack, task: Task, course: Course, default: str) -> FusedModel:
    used = {*task.train.ids, *task.validation.ids}
    facts = FitFacts(
        fingerprint=fingerprint([r for r in (*data.train, *data.validation) if r.id in used]),
        split=data.split,
        classes=class_counts(data.classes, task.train, task.validation),
        presence=presence_shares(task.train, task.validation),
        seed=plan.seed,
        teacher=plan.teacher.name if plan.teacher else None,
        strategies=course.figures,
    )
    background = draw_background(task.train, plan.seed)
    return FusedModel(plan.name, data.classes, stack, course.heads, course.fitted, background, default, facts)


def _saving(course: Course, done: int, of: int) -> FitStep:
    return FitStep("save", None, done, of, None, dict(course.curves), dict(course.fitted))


def _refer(
    model: FusedModel, data: FitData, encoded: _Encoded, out: Path, course: Course, tell: Tell
) -> tuple[str, ...]:
    """Save what clean records look like beside the bundle; return why not, where that cannot be."""
    ids = set(encoded.validation.ids)
    records = [record for record in data.validation if record.id in ids][:MOST_REFERENCE]
    if len(records) < FEWEST_REFERENCE:
        return (
            f"no reference statistics for diagnosis: {len(records)} validation records are fewer than "
            f"{FEWEST_REFERENCE}; make them from more with `diagnose --reference`",
        )

    def progress(what: str, done: int, of: int) -> None:
        if not tell(_saving(course, done, of)):
            raise CallError("stopped")

    try:
        save_reference(build_reference(model, records, progress, encoded.validation), out)
    except FusionError as error:
        return (f"no reference statistics for diagnosis: {error}",)
    return ()


def fit_line(model: FusedModel, out: Path, stopped: bool = False) -> Line:
    """Return the closing line of a fit; `teacher`, `agreement` and `stopped` only where there is one."""
    teacher = model.facts.teacher if model.facts else None
    return {
        "kind": "fit",
        "out": out.name,
        **({"teacher": teacher} if teacher else {}),
        **({"stopped": True} if stopped else {}),
        "strategies": {
            name: {
                "parameters": f.parameters,
                "validation_accuracy": _rounded(f.validation_accuracy),
                **({"agreement": _rounded(f.validation_accuracy)} if teacher else {}),
                "interval": [_rounded(bound) for bound in f.interval or (None, None)],
                "chance": _rounded(f.chance),
                "status": f.status,
                "seconds": round(f.seconds, 1),
            }
            for name, f in model.fitted.items()
        },
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
