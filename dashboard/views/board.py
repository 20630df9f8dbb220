"""The board's payload: one record under every strategy, as plain JSON that the viewer swaps and hovers by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.views import media
from dashboard.views.labels import say
from dashboard.views.ledger import ledger, readings
from dashboard.views.maps import Explained, TokenAxes, attention_groups, attributions_json, check_json, scores_json
from fusion_core.reading.texts import show_text
from fusion_core.types import MODALITIES, AttentionScores, Prediction, Record, Trace
from fusion_core.words import ACCURACY_UNKNOWN, AS_LOADED, count

CHANCE = "chance"
#: Checks that speak of the strategy's attention; those of sums travel with the ledger and attribution they judge.
ABOUT_ATTENTION = ("attention_matters", "parity")
Json = dict[str, Any]


@dataclass(frozen=True)
class StrategyCard:
    """What the strip says about a strategy before it is chosen.

    status: `trained`, `distilled`, `chance`, or `as loaded` for one that was not fitted here.
    interval: bounds of the validation accuracy.
    sentence: why there is no attention between tokens, when `has_attention` is False.
    level: what the strategy fuses, such as "fuses encoder tokens".
    place: where a model that was not fitted here runs, such as `cpu · float32 · 0.6 GB`.
    heavy: whether its maps and their tests take so long that they are asked for.
    """

    name: str
    label: str
    status: str = "trained"
    parameters: int | None = None
    validation_accuracy: float | None = None
    interval: tuple[float, float] | None = None
    has_attention: bool = True
    sentence: str = ""
    level: str = ""
    place: str = ""
    heavy: bool = False


@dataclass(frozen=True)
class Board:
    """A payload as it travels: JSON in UTF-8, and the names of the record and of what is there of it."""

    revision: str
    stage: str
    body: bytes


@dataclass(frozen=True)
class Later:
    """What comes after the first paint, where it is there, per strategy.

    explained, scores: attributions and attention scores beyond those in the traces. judged: what was measured about
    maps, by their names (`views.judged`). heads: what each attention head moves, per layer. methods:
    what may be asked for, with its cost. similar: `views.similar`. tests: what testing a map costs under heavy ones.
    """

    explained: Mapping[str, Sequence[Explained]] = field(default_factory=dict)
    scores: Mapping[str, Sequence[AttentionScores]] = field(default_factory=dict)
    judged: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    methods: Sequence[Json] = ()
    similar: Json | None = None
    tests: Mapping[str, Json] = field(default_factory=dict)


def payload(
    traces: Sequence[Trace],
    *,
    image: Json | None,
    audio: Json | None,
    strategies: Sequence[StrategyCard],
    labels: Mapping[str, str],
    later: Later | None = None,
) -> Json:
    """Return everything the board shows of one record, ready for `json.dumps`.

    image: see `views.media.image`; the axes' boxes count its pixels. audio: see `heard`.
    labels: the words on screen for names in the traces.
    `revision` names the record and its traces; `stage` names all that is there, so that what comes later is noticed.
    """
    if not traces:
        raise ValueError("the board needs at least one trace")
    by_name = {trace.strategy: trace for trace in traces}
    axes = TokenAxes(image)
    shown = [_strategy(card, by_name.get(card.name), axes, labels) for card in strategies]
    content: Json = {
        "record": _record(traces[0].record, labels),
        "classes": list(traces[0].prediction.classes),
        "reads": [m for m in MODALITIES if any(m in trace.ledger.contributions for trace in traces)],
        "names": {name: say(name, labels) for name in (*MODALITIES, "cls", *_other_segments(traces))},
        "image": image,
        "audio": audio,
        "strategies": shown,
        "axes": axes.unique,
    }
    revision = _hash(content)
    later = later or Later()
    for card in shown:
        trace = by_name.get(card["name"])
        if trace is not None and not card["chance"]:
            card |= _maps(trace, later, labels)
    content |= {"methods": list(later.methods), "similar": later.similar}
    return content | {"revision": revision, "stage": _hash(content)}


def _other_segments(traces: Sequence[Trace]) -> list[str]:
    """Return the parts of token axes that are no modality, such as a tower's end piece."""
    named = {name for trace in traces for found in trace.attention for name in (found.query, found.key)}
    return sorted(named - {*MODALITIES, "cls"})


def _maps(trace: Trace, later: Later, labels: Mapping[str, str]) -> Json:
    """Return the maps of a strategy that is offered: attributions, attention scores, and what was measured of them."""
    own = [Explained(a.method, (a,)) for a in trace.attributions]
    return {
        "attributions": attributions_json([*own, *later.explained.get(trace.strategy, ())], labels),
        "scores": scores_json([*trace.scores, *later.scores.get(trace.strategy, ())], labels),
        "judged": dict(later.judged.get(trace.strategy, {})),
        "test": later.tests.get(trace.strategy),
        "heads": {label: [round(x, 4) for x in each] for label, each in later.heads.get(trace.strategy, {}).items()},
    }


def _hash(content: Json) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def heard(
    samples: np.ndarray,
    rate: int,
    mel: np.ndarray | None,
    traces: Sequence[Trace],
    pace: float = media.MEL_FRAMES_PER_SECOND,
) -> Json:
    """Return the part of a clip that the encoder hears as the viewer takes it, and how long the whole is.

    samples: `float32 [N]` in -1..1. mel: log-mel `float32 [bands, F]`, None where the model reads something else. pace:
    its frames per second.
    """
    ends = [trace.axes["audio"].spans[-1][1] for trace in traces if "audio" in trace.axes]
    part = samples[: max(1, round(max(ends) * rate))] if ends else samples
    return media.audio(part, rate, mel, pace) | {"whole": len(samples) / rate}


def _record(record: Record, labels: Mapping[str, str]) -> Json:
    parts = [f"record {record.id}"]
    if record.timestamp is not None:
        parts.append(f"{record.timestamp:%Y-%m-%d %H:%M}")
    short = {k: str(v) for k, v in record.meta.items() if 0 < len(str(v)) <= 24 and "," not in str(v)}
    parts += [f"{say(k, labels)} {v}" for k, v in short.items()]
    return {
        "caption": show_text(" · ".join(parts[:5])),
        "label": None if record.label is None else show_text(record.label),
        "present": list(record.present()),
        "flags": [show_text(say(flag, labels)) for flag in dict.fromkeys(record.flags)],
    }


def _strategy(card: StrategyCard, trace: Trace | None, axes: TokenAxes, labels: Mapping[str, str]) -> Json:
    described: Json = {
        "name": card.name,
        "label": card.label,
        "chance": card.status == CHANCE or (trace is not None and trace.status == CHANCE),
        "facts": _facts(card),
        "sentence": card.sentence,
        "level": card.level,
        "heavy": card.heavy,
        "prediction": None,
        "attributions": [],
        "scores": [],
        "judged": {},
        "heads": {},
    }
    if trace is None:
        return described
    offered = not described["chance"]
    label = trace.prediction.label
    return described | {
        "prediction": _prediction(trace.prediction),
        "axes": {m: axes.index(axis) for m, axis in trace.axes.items()},
        "groups": attention_groups(trace.attention, labels) if offered and card.has_attention else [],
        "ledgers": {name: ledger(account, labels) for name, account in trace.ledgers.items()},
        "readings": readings(trace.ledger, label, labels),
        "checks": [check_json(c, labels) for c in trace.checks if c.name in ABOUT_ATTENTION] if offered else [],
        "notes": _own_notes(trace),
        "free": None if trace.free_answer is None else show_text(trace.free_answer or "nothing"),
    }


def _own_notes(trace: Trace) -> list[str]:
    """Return what is noted beyond the record's flags, which stand beside the notes already."""
    return [note for note in dict.fromkeys(trace.notes) if note not in trace.record.flags]


def _facts(card: StrategyCard) -> list[str]:
    facts = []
    if card.validation_accuracy is None and card.status == AS_LOADED:
        facts.append(f"accuracy {ACCURACY_UNKNOWN}")
    if card.validation_accuracy is not None:
        band = "" if card.interval is None else f" [{card.interval[0]:.2f}, {card.interval[1]:.2f}]"
        facts.append(f"val {card.validation_accuracy:.2f}{band}")
        if card.status == AS_LOADED:
            facts.append("as loaded, measured here")
    if card.parameters is not None:
        facts.append(f"{count(card.parameters)} parameters")
    return [*facts, card.place] if card.place else facts


def _prediction(prediction: Prediction) -> Json:
    if not prediction.finite:
        return {"finite": False, "top": None, "confidence": None, "correct": None, "classes": []}
    order = np.argsort(-prediction.probabilities, kind="stable")[:4]
    return {
        "finite": True,
        "top": prediction.top,
        "confidence": prediction.confidence,
        "correct": prediction.correct,
        "undecided": float(np.ptp(prediction.probabilities)) == 0.0,
        "classes": [[prediction.classes[i], float(prediction.probabilities[i])] for i in order],
    }
