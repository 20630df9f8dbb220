"""What is worked out about the record on the screen: first what is seen at once, then what fills in behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from dashboard.views import media
from dashboard.views.board import heard
from dashboard.views.media import MEL_FRAMES_PER_SECOND
from dashboard.views.similar import Glimpse, Near, similar
from fusion_core.compare.cost import strategy_costs
from fusion_core.compare.result import StrategyCost
from fusion_core.encoders import Encoder
from fusion_core.errors import RecordError
from fusion_core.influence import InfluenceIndex
from fusion_core.model import FusedModel
from fusion_core.neighbours import FusedIndex
from fusion_core.question import DEFAULT_METHOD, Question, is_heavy
from fusion_core.reading.bounded import decode_audio, decode_image
from fusion_core.reading.media import read_media
from fusion_core.reading.records import RecordSet
from fusion_core.tokens import TokenSet
from fusion_core.trace import trace_strategies
from fusion_core.types import Failure, Inputs, Record, Tokens, Trace

NEIGHBOURS = 5
TIMED = 8  # records


@dataclass(frozen=True)
class Inspection:
    """A record under every strategy, with its media as they are shown (small, however large the files were).

    failures: why a strategy has no answer. heavy: strategies whose attributions nobody should wait for unasked.
    """

    inputs: Inputs
    tokens: Mapping[str, Tokens]
    traces: tuple[Trace, ...]
    failures: dict[str, str]
    image: dict[str, Any] | None
    audio: dict[str, Any] | None
    heavy: frozenset[str]


@dataclass(frozen=True)
class Training:
    """Records a model was fitted on, and what its heads made of them."""

    records: RecordSet
    index: InfluenceIndex


def content_key(record: Record) -> str:
    """Name a record by its content: two records with the same id and other media differ."""
    media = [m.sha256 if m else "" for m in (record.image, record.audio)]
    return "|".join((record.id, record.text or "", record.label or "", *media, *record.flags))


def inspect_record(model: FusedModel, record: Record) -> Inspection:
    """Trace a record under every strategy, its own answers and its true class explained at the fusion seam.

    Of heavy strategies no attribution is made here: the board offers them with what they cost.
    Raises RecordError when the record cannot be read, or no strategy has a finite answer.
    """
    inputs, tokens = model.encode_record(record)
    truth = (record.label,) if record.label in model.classes else ()
    heavy = frozenset(name for name in model.strategies if is_heavy(model, tokens, name))
    found = [
        each
        for name in model.strategies
        for each in trace_strategies(
            model, record, inputs, tokens, (name,), Question(None if name in heavy else DEFAULT_METHOD, also=truth)
        )
    ]
    failures = {str(f.strategy): f for f in found if isinstance(f, Failure)}
    if len(failures) == len(found):
        first = next(iter(failures.values()))
        raise RecordError(first.message, first.code, record.id)
    traces = tuple(trace for trace in found if isinstance(trace, Trace))
    return Inspection(
        inputs=inputs,
        tokens=tokens,
        traces=traces,
        failures={name: failure.message for name, failure in failures.items()},
        image=_image(record) if "image" in model.modalities else None,
        audio=_audio(model, record, inputs, traces) if "audio" in model.modalities else None,
        heavy=heavy,
    )


def _image(record: Record) -> dict[str, Any] | None:
    if record.image is None:
        return None
    return media.image(decode_image(read_media(record.image), record.image.name).pixels)


def _audio(model: FusedModel, record: Record, inputs: Inputs, traces: Sequence[Trace]) -> dict[str, Any] | None:
    if record.audio is None:
        return None
    clip = decode_audio(read_media(record.audio), record.audio.name)
    encoder, values = model.stack.encoders["audio"], inputs.modalities["audio"].values[0].numpy()
    return heard(clip.samples, clip.rate, _log_mel(encoder, values), traces, _pace(encoder))


def _log_mel(encoder: Encoder, values: np.ndarray) -> np.ndarray | None:
    """Return what an encoder reads of a clip where that is log-mel `[bands, F]`; a team's own may read anything."""
    bands = encoder.preprocessing.get("mels")
    return values if values.ndim == 2 and len(values) == bands else None


def _pace(encoder: Encoder) -> float:
    """Return how many frames of log-mel there are in a second; that of a bundle may be part of a foreign model."""
    own: Any = getattr(encoder, "own", encoder)
    return float(own.rate / own.hop) if hasattr(own, "hop") else MEL_FRAMES_PER_SECOND


def classes_left(model: FusedModel, found: Inspection) -> tuple[str, ...]:
    """Return the classes that some strategy has not all maps of yet, those that any strategy finds likely first."""
    likely = np.max([trace.prediction.probabilities for trace in found.traces], axis=0)
    done = set.intersection(*(_mapped(model, found, trace) for trace in found.traces))
    ranked = np.argsort(-likely, kind="stable")
    return tuple(model.classes[i] for i in ranked if model.classes[i] not in done)


def _mapped(model: FusedModel, found: Inspection, trace: Trace) -> set[str]:
    """Return the classes of which a trace has the attribution, where it comes by itself, and the attention scores."""
    explained = set(model.classes) if trace.strategy in found.heavy else {a.target for a in trace.attributions}
    return explained & {trace.target} if trace.scores else explained


def fusion_costs(model: FusedModel) -> dict[str, StrategyCost]:
    """Measure what every strategy costs on the first few background records."""
    rows = torch.arange(min(TIMED, model.background.size))
    pools = {m: tokens.rows(rows) for m, tokens in model.background.tokens.items()}
    names = tuple(str(k) for k in rows.tolist())
    return strategy_costs(model, TokenSet(pools, dict.fromkeys(pools, rows), names, (None,) * len(names)))


def similar_to(
    model: FusedModel,
    found: Inspection,
    index: FusedIndex,
    answers: pd.DataFrame | None,
    records: RecordSet,
    leave_out_id: str | None,
) -> dict[str, Any]:
    """Find the nearest records of an answered set in each strategy's fused space, with what is shown of them.

    Only those on the record's own side of the set's mean, cosine above 0: what is left of a small set is not similar.
    """
    near: list[Near] = []
    for trace in found.traces:
        with torch.no_grad():
            vector = model.embed(found.tokens, trace.strategy)[1][0].float().numpy()
        neighbours = index.nearest(trace.strategy, vector, NEIGHBOURS, leave_out_id)
        near += [Near(trace.strategy, n.id, n.similarity) for n in neighbours if n.similarity > 0]
    named = {n.id for n in near}
    glimpses = {r.id: glimpse(r, model.modalities) for r in records.records if r.id in named}
    return similar([n for n in near if n.id in glimpses], glimpses, answers)


def glimpse(record: Record, modalities: Sequence[str]) -> Glimpse:
    """Decode what is shown of a record; a file that cannot be read is left out."""
    pixels, clip = None, None
    with suppress(RecordError):
        if record.image and "image" in modalities:
            pixels = decode_image(read_media(record.image), record.image.name).pixels
    with suppress(RecordError):
        if record.audio and "audio" in modalities:
            clip = decode_audio(read_media(record.audio), record.audio.name)
    return Glimpse(record, pixels, clip.samples if clip else None, clip.rate if clip else 0)
