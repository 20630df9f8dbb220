"""The pieces of work of a comparison: each measures one thing, keeps it, and puts it into the reports."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np

from fusion_core.compare.cost import strategy_costs
from fusion_core.compare.damage import damaged, stratified
from fusion_core.compare.encoded import part, whole
from fusion_core.compare.fusing import fused
from fusion_core.compare.patterns import pattern_qualities
from fusion_core.compare.plan import Plan, Settings
from fusion_core.compare.quality import answered, quality
from fusion_core.compare.reliance import reliance
from fusion_core.compare.result import Measured, PatternQuality, StrategyCost, StrategyReport, Verdict
from fusion_core.compare.robustness import curves
from fusion_core.compare.significance import against
from fusion_core.compare.store import Arrays, Store
from fusion_core.compare.subject import Subject
from fusion_core.compare.usage import (
    LEAST_RECORDS,
    LEDGER_RECORDS,
    additive_part,
    informations,
    perceptual_scores,
    sample,
)
from fusion_core.compare.verdict import verdict
from fusion_core.contribute.emap import Emap
from fusion_core.contribute.perceptual import PerceptualScore
from fusion_core.contribute.pid import Information
from fusion_core.model import FusedModel
from fusion_core.tokens import Progress
from fusion_core.types import Refusal

FIRST_LOOK = 200  # records; a table of all waits for their encoding


class Work:
    """What is measured so far. logits: of the clean records, `[S, N, C]`."""

    def __init__(self, model: FusedModel, plan: Plan, settings: Settings, store: Store, progress: Progress) -> None:
        self.model, self.plan, self.settings, self.store = model, plan, settings, store
        self.progress, self.seed = progress, settings.seed
        self.subject = Subject(model, plan.records, progress)
        self.refused: tuple[Refusal, ...] = ()
        self.left_out = list(plan.left_out)
        statuses = {s: model.fitted[s].status if s in model.fitted else "trained" for s in model.strategies}
        self.reports = {s: StrategyReport(s, status) for s, status in statuses.items()}
        self.logits = np.zeros((len(model.strategies), 0, len(model.classes)), np.float32)
        self.verdict: Verdict | None = None
        self._lock = Lock()  # of the reports: several pieces may be done at once

    def first_look(self) -> None:
        """Judge the answers to a sample: the first table is there while the other records are being encoded."""
        if self.store.kept("answers"):
            return
        rows = stratified([r.label for r in self.plan.records], FIRST_LOOK, self.seed)
        tokens = self.subject.first_look(rows.tolist())
        place = {r.id: k for k, r in enumerate(self.plan.records)}
        read = np.array([place[id] for id in tokens.ids], dtype=np.int64)
        if self.plan.truth is not None and len(read):
            self._judge(fused(self.model, tokens), self.plan.truth[read])

    def answers(self) -> None:
        """Answer every record under every strategy."""

        def measure() -> Arrays:
            tokens, there, _ = self.subject.read()
            return {"logits": fused(self.model, tokens), "there": there}

        found = self.store.arrays("answers", measure)
        self.refused = self.store.figures("refused", tuple[Refusal, ...], lambda: self.subject.read()[2])
        self.logits, there = found["logits"], found["there"]
        self.plan = self.plan.keeps(there)
        self.subject.keep(there)
        if self.plan.truth is not None:
            self._judge(self.logits, self.plan.truth)
        for s, own in zip(self.model.strategies, self.logits, strict=True):
            lost = int((~np.isfinite(own).all(axis=1)).sum())
            if lost:
                self.left_out.append(f"{s} answers {lost:,} records with NaN or infinity, which count as wrong")

    def _judge(self, logits: np.ndarray, truth: np.ndarray) -> None:
        right = {s: answered(own) == truth for s, own in zip(self.model.strategies, logits, strict=True)}
        base = self.plan.baseline
        for s, own in zip(self.model.strategies, logits, strict=True):
            beside = against(right[s], right[base], base) if s != base else None
            self._put(s, quality=quality(own, truth, self.seed), against=beside)

    def cost(self) -> None:
        """Time every strategy."""
        found = self.store.figures(
            "cost", dict[str, StrategyCost], lambda: strategy_costs(self.model, self.subject.tokens)
        )
        for s, own in found.items():
            self._put(s, cost=own)

    def patterns(self, s: str) -> None:
        """Judge a strategy with only some modalities left."""

        def measure() -> tuple[PatternQuality, ...]:
            return pattern_qualities(self.model, self.subject.tokens, s, self.plan.truth, self.seed)

        self._put(s, patterns=self.store.figures(f"patterns-{s}", tuple[PatternQuality, ...], measure))

    def emap(self, s: str) -> None:
        """Measure what a strategy loses without interactions."""
        if self._finite(s):
            self._put(s, emap=self._figures(f"emap-{s}", Emap, additive_part, s))

    def perceptual(self, s: str) -> None:
        """Measure what each modality brings."""
        if self._finite(s):
            kind = tuple[PerceptualScore, ...]
            self._put(s, perceptual=self._figures(f"perceptual-{s}", kind, perceptual_scores, s))

    def information(self, s: str) -> None:
        """Measure what modalities tell about the labels, alike, alone and together."""
        if self._finite(s):
            self._put(s, information=self._figures(f"information-{s}", tuple[Information, ...], informations, s))

    def reliance(self, s: str) -> None:
        """Measure how much of its answers a strategy owes to each modality."""

        def measure() -> tuple[dict[str, Measured], int]:
            tokens = self.subject.tokens
            rows = sample(tokens, LEDGER_RECORDS, self.seed) if len(whole(tokens)) else np.arange(len(tokens))
            return reliance(self.model, tokens, s, rows[:LEDGER_RECORDS], self.seed)

        shares, count = self.store.figures(f"reliance-{s}", tuple[dict[str, Measured], int], measure)
        self._put(s, reliance=shares, ledgers=count)

    def judge(self) -> None:
        """Give the verdict."""
        truth = self.plan.truth
        assert truth is not None
        rights = {s: answered(own) == truth for s, own in zip(self.model.strategies, self.logits, strict=True)}
        self.verdict = verdict(list(self.reports.values()), rights, self.seed)
        if self.verdict is None:
            self.left_out.append("a verdict: no strategy that was fitted here does better than chance")

    def fault(self, kind: str, severity: int) -> None:
        """Answer the damaged records; with the last severity, draw the curve."""
        assert self.plan.truth is not None
        rows = stratified([r.label for r in self.plan.records], self.settings.fault_records, self.seed)
        severities = self.plan.kinds[kind]
        self._damaged(kind, severity, rows)
        if severity == severities[-1]:
            found = curves(
                kind,
                severities,
                self.model.strategies,
                self.logits[:, rows],
                [self._damaged(kind, s, rows) for s in severities],
                self.plan.truth[rows],
                self.seed,
            )
            for s, curve in found.items():
                self._put(s, curves=(*self.reports[s].curves, curve))

    def _damaged(self, kind: str, severity: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        def measure() -> Arrays:
            records = [self.plan.records[k] for k in rows]
            tokens = part(self.subject.tokens, rows)
            logits, there = damaged(self.model, records, tokens, kind, severity, self.seed, self.progress)
            return {"logits": logits, "there": there}

        found = self.store.arrays(f"{kind}-{severity}", measure)
        return found["logits"], found["there"]

    def whole_enough(self) -> bool:
        """Return whether enough records have every modality, of more than one, for what needs that."""
        every = set(self.model.modalities)
        having = sum(every <= set(r.present()) for r in self.plan.records)
        return len(every) > 1 and having >= LEAST_RECORDS

    def _finite(self, s: str) -> bool:
        return bool(np.isfinite(self.logits[self.model.strategies.index(s)]).all())

    def _figures(self, name: str, kind: Any, measure: Any, s: str) -> Any:
        return self.store.figures(name, kind, lambda: measure(self.model, self.subject.tokens, s, self.seed))

    def _put(self, s: str, **found: Any) -> None:
        with self._lock:
            self.reports[s] = replace(self.reports[s], **found)
