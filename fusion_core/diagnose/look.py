"""Look at a record: decode its media, take its tokens, and ask each modality and the model for an answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fusion_core.diagnose.signals import Seen
from fusion_core.diagnose.signals.seen import RATE
from fusion_core.errors import RecordError
from fusion_core.fusion.head import masked_mean
from fusion_core.model import FusedModel
from fusion_core.reading.bounded import decode_audio, decode_image
from fusion_core.reading.clips import resample
from fusion_core.reading.media import read_media
from fusion_core.reading.texts import clean_text
from fusion_core.types import Inputs, Record, Tokens

JURY = 3  # strategies whose mean answer is asked how sure it is


def look(model: FusedModel, record: Record, strategy: str = "") -> tuple[Seen, dict[str, Tokens]]:
    """Return a record as signals see it, and its tokens; raises RecordError when it cannot be read.

    A record without anything the model reads is looked at too: what is missing is for the diagnosis to say.
    """
    seen = decode(model, record)
    inputs = model.prepare([record])
    with torch.no_grad():
        tokens = model.encode(inputs)
    return with_tokens(model, seen, inputs, tokens, strategy), tokens


def look_at_tokens(model: FusedModel, record: Record, tokens: Mapping[str, Tokens], strategy: str = "") -> Seen:
    """Return a record as signals see it, with tokens (`tokens[m] [1, T_m, D_m]`) that were encoded before."""
    seen = decode(model, record)
    text = record.text if "text" in model.modalities else None
    return with_tokens(model, seen, model.prepare([Record(record.id, text=text)]), tokens, strategy)


def decode(model: FusedModel, record: Record) -> Seen:
    """Return the decoded media of the modalities a model reads; raises RecordError for what cannot be read."""
    text, pixels, samples, rate = None, None, None, RATE
    try:
        if record.text is not None and "text" in model.modalities:
            text = clean_text(record.text)[0]
        if record.image is not None and "image" in model.modalities:
            pixels = decode_image(read_media(record.image), record.image.name).pixels
        if record.audio is not None and "audio" in model.modalities:
            clip = decode_audio(read_media(record.audio), record.audio.name)
            samples, rate = resample(clip.samples, clip.rate, RATE), clip.rate
    except RecordError as error:
        raise RecordError(str(error), error.code, record.id) from error
    label = model.classes.index(record.label) if record.label in model.classes else None
    return Seen(text=text, pixels=pixels, samples=samples, rate=rate, label=label)


def with_tokens(
    model: FusedModel, seen: Seen, inputs: Inputs, tokens: Mapping[str, Tokens], strategy: str = ""
) -> Seen:
    """Return what was seen with what one record's tokens (`tokens[m] [1, T_m, D_m]`) add to it."""
    head = model.head(strategy or model.default_strategy)
    axes = inputs.axes(0)
    present = [m for m in model.modalities if m in tokens and bool(tokens[m].mask.any())]
    with torch.no_grad():
        projected = head.project(tokens)
        alone = head.speak_alone(projected)
        logits = head.combine(projected).logits
    return Seen(
        text=seen.text,
        pixels=seen.pixels,
        samples=seen.samples,
        rate=seen.rate,
        words=axes["text"].labels if "text" in axes else (),
        pieces=_pieces(inputs),
        pooled={m: masked_mean(tokens[m])[0].float().numpy() for m in present},
        alone={m: _probabilities(alone[m]) for m in present},
        fused=_probabilities(logits),
        joint=_joint(model, tokens) if len(present) > 1 else None,
        label=seen.label,
    )


def _joint(model: FusedModel, tokens: Mapping[str, Tokens]) -> np.ndarray:
    """Return the mean answer of the strategies most accurate on validation records, probabilities `[C]`."""
    best = sorted(model.strategies, key=lambda name: -model.fitted[name].rank)[:JURY]
    with torch.no_grad():
        return np.asarray(np.mean([_probabilities(model.fuse(tokens, name)) for name in best], axis=0))


def _probabilities(logits: Tensor) -> np.ndarray:
    return logits[0].double().softmax(0).numpy()


def _pieces(inputs: Inputs) -> np.ndarray | None:
    part = inputs.modalities.get("text")
    if part is None or part.groups is None:
        return None
    groups = part.groups[0]
    return torch.bincount(groups[groups >= 0]).numpy() if bool((groups >= 0).any()) else None
