"""What is worked out about maps when the board asks for it: other methods, other classes, and whether a map is true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.inspection import Inspection
from dashboard.views.judged import judged_json, maps_of, raw_maps
from dashboard.views.labels import LABELS
from dashboard.views.maps import Explained, attention_sites, by_heads_too_large, map_kind, map_name
from fusion_core.attend import attention_scores
from fusion_core.attend.heads import tried_heads
from fusion_core.model import FusedModel
from fusion_core.question import DEFAULT_METHOD, Question, attribute
from fusion_core.random_heads import attribution_check, raw_check, view_check
from fusion_core.types import AttentionMap, AttentionScores, Attribution, Check, Seam, Trace
from fusion_core.verify.faithfulness import RemovalTable, judge, removal_table
from fusion_core.verify.parity import doubted
from fusion_core.verify.polarity import polarity_violations
from fusion_core.verify.removal import Told

Json = dict[str, Any]
Report = Callable[[int, int, tuple[Attribution, ...]], None]
SEAMS: tuple[Seam, ...] = ("fusion", "input")
SLOW = 10.0  # seconds from which an attribution begins only when somebody says so; the board has the same number


@dataclass(frozen=True)
class Wanted:
    """An attribution of one strategy as the board asks for it; against: a class, or "" for the mean of all."""

    strategy: str
    method: str
    seam: Seam
    target: str
    against: str = ""

    @property
    def name(self) -> str:
        """The map's name, spelled as the board spells it."""
        return map_name("attribution", self.method, self.seam, self.target, self.against)


@dataclass(frozen=True)
class More:
    """What is known of a record beyond its traces, per strategy: attributions and attention scores of other classes."""

    explained: dict[str, tuple[Explained, ...]]
    scores: dict[str, tuple[AttentionScores, ...]]

    def joined(self, other: More) -> More:
        """Return both together."""
        names = {*self.explained, *other.explained}
        return More(
            {n: self.explained.get(n, ()) + other.explained.get(n, ()) for n in names},
            {n: self.scores.get(n, ()) + other.scores.get(n, ()) for n in names},
        )


NOTHING_MORE = More({}, {})


def explain_classes(model: FusedModel, found: Inspection, classes: Sequence[str]) -> More:
    """Explain classes at the fusion seam under every strategy that has not yet, so that any may be chosen.

    Heavy strategies get the attention scores of these classes only.
    """
    explained: dict[str, tuple[Explained, ...]] = {}
    scores: dict[str, tuple[AttentionScores, ...]] = {}
    for trace in found.traces:
        there = classes if trace.strategy in found.heavy else [a.target for a in trace.attributions]
        left = [name for name in classes if name not in there]
        explained[trace.strategy] = tuple(
            Explained(DEFAULT_METHOD, attribute(model, found.inputs, found.tokens, trace.strategy, name, Question()))
            for name in left
        )
        classwise = [name for name in classes if name != trace.target] if trace.scores else []
        scores[trace.strategy] = tuple(
            view
            for name in classwise
            for view in attention_scores(model, found.tokens, trace.strategy, model.classes.index(name))
            if view.target is not None
        )
    return More(explained, scores)


def explain(model: FusedModel, found: Inspection, wanted: Wanted, report: Report) -> Explained:
    """Work out one attribution; `report` is told passes done, passes planned, and what is known so far.

    Raises CallError for a method that does not work at this seam or on this record.
    """
    question = Question(
        method=wanted.method, seam=wanted.seam, target=wanted.target, against=wanted.against or None, report=report
    )
    parts = attribute(model, found.inputs, found.tokens, wanted.strategy, wanted.target, question)
    return Explained(wanted.method, parts)


def moving_heads(model: FusedModel, found: Inspection, trace: Trace) -> dict[str, list[float]]:
    """Return by how much taking out each attention head moves the explained logit, per layer as the board names it.

    Where several pairs of modalities share a layer, the most that one of them does. Nothing where the board shows no
    single heads.
    """
    if by_heads_too_large(trace.attention):
        return {}
    heads, _ = tried_heads(model, found.tokens, trace.strategy, model.classes.index(trace.target))
    moved: dict[tuple[str, int, int], float] = {}
    for head in heads:
        place = (head.site, head.layer, head.number)
        moved[place] = max(moved.get(place, 0.0), head.ablated or 0.0)
    named = {label: maps[0] for label, maps in attention_sites(trace.attention, LABELS).items()}
    return {
        label: [moved.get((first.site, first.layer, number), 0.0) for number in range(first.weights.shape[0])]
        for label, first in named.items()
    }


def removals(
    model: FusedModel, found: Inspection, strategy: str, target: str, each: bool, told: Told | None = None
) -> RemovalTable:
    """Measure what removing tokens does under a strategy, by which any map of the class can be judged.

    each: also the tokens of each modality by themselves. told: who hears of them, where each takes long.
    """
    number = model.classes.index(target)
    return removal_table(model, found.tokens, strategy, number, each=each, told=told)


def has_map(trace: Trace, more: More, name: str) -> bool:
    """Return whether there is a map of this name to judge."""
    views, explained = more.scores.get(trace.strategy, ()), more.explained.get(trace.strategy, ())
    return name in maps_of(trace, explained, views, LABELS)


def judge_map(
    model: FusedModel,
    found: Inspection,
    trace: Trace,
    more: More,
    table: RemovalTable,
    name: str,
    target: str,
    against_chance: bool,
) -> Json | None:
    """Judge one map by its name; None for a name that no map of this strategy has.

    against_chance: also beside the maps of heads with random weights, which takes as long as three more maps.
    """
    views, explained = more.scores.get(trace.strategy, ()), more.explained.get(trace.strategy, ())
    scores = maps_of(trace, explained, views, LABELS).get(name)
    if scores is None:
        return None
    checks = polarity_violations(model, found.tokens, trace.strategy, model.classes.index(target), {"map": scores})
    if against_chance and (check := _random_heads(model, found, trace, (*trace.scores, *views), explained, name)):
        checks = (*checks, check)
    measured = doubted(judge(table, scores), map_kind(name), trace.checks)
    return judged_json(measured, checks, LABELS)


def _random_heads(
    model: FusedModel,
    found: Inspection,
    trace: Trace,
    views: Sequence[AttentionScores],
    explained: Sequence[Explained],
    name: str,
) -> Check | None:
    """Compare a map with those of heads with random weights; None at the input seam, where the encoders speak too."""
    for view in views:
        if map_name(view.method, view.target or "", "") == name:
            return view_check(model, found.tokens, trace.strategy, view)
    for one in (*(Explained(a.method, (a,)) for a in trace.attributions), *explained):
        if one.name == name:
            near = [part for part in one.parts if part.seam == "fusion"]
            return attribution_check(model, found.inputs, found.tokens, trace.strategy, near[0]) if near else None

    def read(attention: Sequence[AttentionMap]) -> Mapping[str, np.ndarray]:
        return raw_maps(attention, tuple(trace.axes), LABELS)[name]

    return raw_check(model, found.inputs, found.tokens, trace.strategy, read)
