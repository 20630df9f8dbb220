"""From labelled records to a bundle on disk: read, encode, train every strategy, save."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fusion_core.bundle import save
from fusion_core.encoders import DEFAULT_SOURCES, EncoderRoots, EncoderSource
from fusion_core.encoders.source import parse_sources
from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError
from fusion_core.fit import FitSettings, class_list, draw_background, train_head
from fusion_core.fusion import Head, strategy
from fusion_core.lines import Line
from fusion_core.model import Fitted, FusedModel
from fusion_core.reading.records import RecordSet, read
from fusion_core.tokens import Progress, TokenSet, encode_records
from fusion_core.types import MODALITIES, Record, Refusal

EVERY_NTH_VALIDATES = 5


def fit_bundle(
    records: Path,
    out: Path,
    validation: Path | None = None,
    strategies: str = "all",
    encoders: Path | None = None,
    seed: int = 0,
    roots: EncoderRoots | None = None,
    progress: Progress | None = None,
) -> tuple[Line, list[Refusal]]:
    """Fit a bundle from a record set and save it; return the closing line and the rows that were refused.

    Raises CallError when records or classes are too few, or a name is unknown.
    """
    names = strategy_names(strategies)
    if out.exists() and not out.is_dir():
        raise CallError(f"{out.name!r} is a file; a bundle is a folder")
    train, refused = _labelled(read(records))
    classes = class_list([r.label for r in train])
    if validation:
        tested, refused_tests = _labelled(read(validation))
        refused += refused_tests
    else:
        train, tested = split_by_class(train)
    if not tested:
        raise CallError("no labelled record is left for validation; give more records or another --validation")
    stack = EncoderStack(_sources(encoders, train), roots)
    train_tokens, failed = encode_records(stack, train, progress)
    test_tokens, failed_tests = encode_records(stack, tested, progress)
    names = _readable(names, strategies, stack)
    model = fit_model(out.name, names, classes, stack, train_tokens, test_tokens, FitSettings(seed=seed), progress)
    save(model, out)
    return fit_line(model, out), [*refused, *failed, *failed_tests]


def _labelled(records: RecordSet) -> tuple[list[Record], list[Refusal]]:
    """Return the records that can be learned from, and a refusal for every other row."""
    labelled = [r for r in records.records if r.label is not None]
    unlabelled = [
        Refusal(r.id, "label_missing", "the row has no label, so nothing can be learned from it")
        for r in records.records
        if r.label is None
    ]
    return labelled, [*records.refusals, *unlabelled]


def split_by_class(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Hold out every fifth record of each class, whatever the order of the rows; return (training, validation)."""
    seen: dict[str | None, int] = {}
    train: list[Record] = []
    held: list[Record] = []
    for record in records:
        seen[record.label] = seen.get(record.label, 0) + 1
        (held if seen[record.label] % EVERY_NTH_VALIDATES == 0 else train).append(record)
    return train, held


def fit_model(
    name: str,
    strategies: Sequence[str],
    classes: Sequence[str],
    stack: EncoderStack,
    train: TokenSet,
    validation: TokenSet,
    settings: FitSettings,
    progress: Progress | None = None,
) -> FusedModel:
    """Train strategies on tokens; the default strategy is the one with the best validation accuracy."""
    heads: dict[str, Head] = {}
    fitted: dict[str, Fitted] = {}
    for strategy_name in strategies:

        def tell(what: str, done: int, total: int, named: str = strategy_name) -> None:
            if progress:
                progress(f"{named}: {what}", done, total)

        heads[strategy_name], fitted[strategy_name] = train_head(
            strategy_name, stack.specs, classes, train, validation, settings, tell
        )
    best = max(fitted, key=lambda s: fitted[s].rank)
    background = draw_background(train, settings.seed)
    return FusedModel(name, classes, stack, heads, fitted, background, best)


def strategy_names(argument: str) -> list[str]:
    """Read `all` or names separated by commas; raises CallError for an unknown strategy."""
    if argument == "all":
        return list(strategy)
    names = [part.strip() for part in argument.split(",") if part.strip()]
    for name in names:
        strategy[name]
    if not names:
        raise CallError("no strategy was named; give all, or names separated by commas")
    return names


def _readable(names: Sequence[str], argument: str, stack: EncoderStack) -> list[str]:
    """Leave out of `all` what these encoders cannot feed; raises CallError where it was asked for by name."""
    left_out = [name for name in names if not strategy[name].reads(stack.specs)]
    if left_out and argument != "all":
        raise CallError(f"{', '.join(left_out)} reads low-level features, which these encoders do not all give")
    return [name for name in names if name not in left_out]


def fit_line(model: FusedModel, out: Path) -> Line:
    """Return the closing line of a fit."""
    return {
        "kind": "fit",
        "out": out.name,
        "strategies": {
            name: {
                "parameters": f.parameters,
                "validation_accuracy": _rounded(f.validation_accuracy),
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


def _sources(file: Path | None, records: Sequence[Record]) -> dict[str, EncoderSource]:
    """Return an encoder per modality: those of the file, else the defaults for what the records have."""
    present = {m for r in records for m in r.present()}
    chosen = {m: DEFAULT_SOURCES[m] for m in MODALITIES if m in present}
    if file is not None:
        try:
            given = parse_sources(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise CallError(f"encoder file {file.name!r} cannot be read as JSON") from error
        for m, source in given.items():
            chosen.pop(m, None)
            if source is not None:
                chosen[m] = source
    if not chosen:
        raise CallError("the records have no modality with an encoder")
    return {m: chosen[m] for m in MODALITIES if m in chosen}
