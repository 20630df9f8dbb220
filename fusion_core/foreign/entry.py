"""The foreign model of a bundle in `model.json`: what it takes to open it again as it was at the fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fusion_core.asked import Asked
from fusion_core.encoders import EncoderRoots, EncoderSource
from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import ModelError
from fusion_core.foreign.encoders_of import ModelStack, stack_of
from fusion_core.fusion import Head, strategy
from fusion_core.model import Fitted, FusedModel, read_fitted
from fusion_core.words import AS_LOADED

KEYS = {"family", "labels", "task", "prompt", "bias", "original"}


def foreign_entry(model: FusedModel) -> dict[str, Any]:
    """Return the entry of a model whose encoders are parts of a foreign one.

    labels, task, prompt: what that is asked. bias: the threshold of its matches. original: its figures as a strategy,
    or null.
    """
    stack = model.stack
    assert isinstance(stack, ModelStack)
    origin = stack.origin
    return {
        "family": origin.family,
        "labels": list(origin.asked.labels),
        "task": origin.asked.task,
        "prompt": origin.asked.prompt,
        "bias": stack.bias,
        "original": asdict(model.fitted[origin.family]) if origin.family in model.heads else None,
    }


def read_foreign(
    entry: Any,
    sources: Mapping[str, EncoderSource],
    roots: EncoderRoots | None,
    preprocessing: Mapping[str, dict[str, Any]],
    classes: tuple[str, ...],
) -> tuple[EncoderStack, dict[str, Head], dict[str, Fitted]]:
    """Return the encoders of a bundle and, where the foreign model is one of its strategies, its head and figures.

    Then it is opened at once, otherwise when it is first needed. Raises ModelError where it is not found or is another
    one; ValueError, TypeError or KeyError where `entry` is not what `foreign_entry` wrote.
    """
    if (entry is not None) != any(source.source == "model" for source in sources.values()):
        raise ValueError("foreign stands where, and only where, encoders are parts of a model")
    if entry is None:
        return stack_of(sources, roots, preprocessing), {}, {}
    asked, bias = _read(entry)
    stack = stack_of(sources, roots, preprocessing, asked, bias)
    if entry["original"] is None:
        return stack, {}, {}
    name, fitted = str(entry["family"]), read_fitted(entry["original"], (AS_LOADED,))
    if fitted.strategy != name or name in strategy or asked.classes != classes:
        raise ValueError(f"the original {fitted.strategy!r} does not answer as this bundle does")
    assert isinstance(stack, ModelStack)
    origin = stack.origin
    if origin.family != name or origin.cannot:
        why = origin.cannot or f"it is of family {origin.family}"
        raise ModelError(f"the model of this bundle cannot be its strategy {name!r}: {why}")
    return stack, {name: origin.head}, {name: fitted}


def _read(entry: Any) -> tuple[Asked, float | None]:
    if not isinstance(entry, dict) or set(entry) != KEYS:
        raise ValueError(f"foreign must have exactly the keys {', '.join(sorted(KEYS))}")
    labels, bias = entry["labels"], entry["bias"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("the labels of foreign are not texts")
    if bias is not None and not (isinstance(bias, float) and math.isfinite(bias)):
        raise ValueError(f"the bias {bias!r} of foreign is not a number")
    asked = Asked(tuple(labels), str(entry["task"]), prompt=str(entry["prompt"]))
    _ = asked.classes
    return asked, bias
