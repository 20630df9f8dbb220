"""A fused model: frozen encoders, one trained head per fusion strategy, and the background it is explained against."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError, RecordError
from fusion_core.fit_facts import FitFacts
from fusion_core.fusion import Head
from fusion_core.types import Inputs, Level, Record, Tokens
from fusion_core.words import AS_LOADED, original_of


@dataclass(frozen=True)
class Fitted:
    """How a strategy's head came to be, and how good it is on the validation records.

    interval: 95 % Wilson interval of the validation accuracy. status: `trained`, `distilled`, or `chance` when the
    interval does not lie above chance (the share of the largest class); `as loaded` for a model that was not fitted
    here: its validation accuracy, interval and chance are None, for nobody has told them, unless they were measured
    beside strategies fitted on its encoders.
    """

    strategy: str
    parameters: int
    validation_accuracy: float | None
    interval: tuple[float, float] | None
    validation_records: int
    training_records: int
    chance: float | None
    status: str
    seed: int
    seconds: float

    @property
    def measured(self) -> tuple[float, tuple[float, float], float]:
        """The validation accuracy, its interval and chance where they were measured here; ValueError otherwise."""
        if self.validation_accuracy is None or self.interval is None or self.chance is None:
            raise ValueError(f"{self.strategy} was not measured here: its accuracy is not known")
        return self.validation_accuracy, self.interval, self.chance

    @property
    def rank(self) -> float:
        """The validation accuracy to sort by; below all others where it is not known."""
        return -1.0 if self.validation_accuracy is None else self.validation_accuracy


def read_fitted(entry: Mapping[str, Any], statuses: Collection[str]) -> Fitted:
    """Read a strategy's figures, each of the type and range it must have; ValueError or TypeError for anything else.

    entry: the fields of `Fitted`, and `sha256` of its weights where they are in a file of their own.
    """
    if set(entry) - {"sha256"} != {f.name for f in fields(Fitted)}:
        raise ValueError(f"strategy entry has the keys {', '.join(sorted(entry))}")
    low, high = (float(bound) for bound in entry["interval"])
    accuracy, chance = float(entry["validation_accuracy"]), float(entry["chance"])
    fitted = Fitted(
        strategy=str(entry["strategy"]),
        parameters=int(entry["parameters"]),
        validation_accuracy=accuracy,
        interval=(low, high),
        validation_records=int(entry["validation_records"]),
        training_records=int(entry["training_records"]),
        chance=chance,
        status=str(entry["status"]),
        seed=int(entry["seed"]),
        seconds=float(entry["seconds"]),
    )
    if not all(0.0 <= share <= 1.0 for share in (accuracy, low, high, chance)) or fitted.status not in statuses:
        raise ValueError(f"figures of strategy {fitted.strategy!r} are out of range")
    return fitted


def as_loaded(strategy: str, parameters: int) -> Fitted:
    """Return the figures of a strategy that came with its model: none is known but its size."""
    return Fitted(strategy, parameters, None, None, 0, 0, None, AS_LOADED, 0, 0.0)


@dataclass(frozen=True)
class Background:
    """Real training records as tokens: the donors of removed modalities and the baseline of attributions."""

    tokens: dict[str, Tokens]

    @property
    def size(self) -> int:
        """Number of donors."""
        return next(iter(self.tokens.values())).values.shape[0]

    def mean_token(self, modality: str, level: Level = "tokens") -> Tensor:
        """Return the mean valid token of a modality at a level, `[D]`; zeros where no donor has the modality.

        Raises CallError where it has no such level.
        """
        tokens = self.tokens[modality]
        features = tokens.at(level)
        if features is None:
            raise CallError(f"the background's {modality} has no low-level features")
        valid = features[tokens.mask]
        return valid.mean(dim=0) if len(valid) else features.new_zeros(features.shape[-1])


class FusedModel:
    """`prepare`, `encode` and `fuse` over strategies that share one set of tokens.

    background: the donors, or what draws them when they are first asked for (raising CallError where it cannot). mark:
    a hash of all that decides the answers of a model that is no bundle of ours, but for the records it is opened with.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        stack: EncoderStack,
        heads: Mapping[str, Head],
        fitted: Mapping[str, Fitted],
        background: Background | Callable[[], Background],
        default_strategy: str,
        facts: FitFacts | None = None,
        mark: str = "",
    ) -> None:
        self.name, self.classes, self.stack = name, tuple(classes), stack
        self.heads, self.fitted, self._background = dict(heads), dict(fitted), background
        self.mark = mark
        self.facts = facts  # what it was fitted on, where the bundle says so
        self.modalities = stack.modalities
        self.strategies = tuple(heads)
        self.default_strategy = default_strategy
        self._ranges: dict[str, float] = {}
        for head in self.heads.values():
            head.eval().requires_grad_(False)

    @property
    def original(self) -> str | None:
        """The strategy that came with the encoders, beside those fitted on them; None where there are not both."""
        return original_of({name: fitted.status for name, fitted in self.fitted.items()})

    @property
    def background(self) -> Background:
        """The donors of removed modalities and the baseline of attributions."""
        if not isinstance(self._background, Background):
            self._background = self._background()
        return self._background

    def prepare(self, records: Sequence[Record]) -> Inputs:
        """Decode and preprocess records; raises RecordError, with the record's id, at the first that cannot be read."""
        return self.stack.prepare(records)

    def encode(self, inputs: Inputs) -> dict[str, Tokens]:
        """Encode inputs into tokens `[B, T_m, D_m]` per modality."""
        return self.stack.encode(inputs)

    def encode_record(self, record: Record) -> tuple[Inputs, dict[str, Tokens]]:
        """Prepare and encode one record; raises RecordError when it cannot be read or has nothing the model reads."""
        inputs = self.prepare([record])
        if not inputs.axes(0):
            raise RecordError(f"the record has none of {', '.join(self.modalities)}", "record_empty", record.id)
        with torch.no_grad():
            return inputs, self.encode(inputs)

    def fuse(self, tokens: Mapping[str, Tokens], strategy: str) -> Tensor:
        """Fuse tokens under a strategy into logits `[B, C]`; raises CallError for a strategy the model lacks."""
        return self.head(strategy)(tokens).logits

    def embed(self, tokens: Mapping[str, Tokens], strategy: str) -> tuple[Tensor, Tensor]:
        """Fuse tokens into logits `[B, C]`, as `fuse` does, and the fused vectors `[B, F]` they were read from.

        F is the strategy's own (see `HeadOutput`); raises CallError for a strategy the model lacks.
        """
        output = self.head(strategy)(tokens)
        return output.logits, output.fused

    def fuse_rows(self, pool: Mapping[str, Tokens], rows: Mapping[str, Tensor], strategy: str) -> Tensor:
        """Fuse combinations of a pool's rows: `rows[m] [N]` picks modality m's tokens, -1 leaves it out.

        Each distinct token set is projected once, however many combinations it takes part in.
        """
        head = self.head(strategy)
        projected = head.project(pool)
        return head.combine_rows(projected, rows).logits

    def logit_range(self, strategy: str) -> float:
        """Return the largest range any class's centred logit has over the background: the yardstick of a change."""
        if strategy not in self._ranges:
            with torch.no_grad():
                logits = self.fuse(self.background.tokens, strategy)
            centred = logits - logits.mean(dim=1, keepdim=True)
            self._ranges[strategy] = float((centred.amax(dim=0) - centred.amin(dim=0)).max())
        return self._ranges[strategy]

    def head(self, strategy: str) -> Head:
        """Return a strategy's head."""
        if strategy not in self.heads:
            raise CallError(f"strategy {strategy!r} is not in model {self.name!r}; it has {', '.join(self.heads)}")
        return self.heads[strategy]


def chosen_strategies(model: FusedModel, names: str) -> tuple[str, ...]:
    """Read a strategy argument: empty for the model's default, `all`, or names separated by commas."""
    if names == "all":
        return model.strategies
    chosen = tuple(part.strip() for part in names.split(",") if part.strip()) or (model.default_strategy,)
    for name in chosen:
        model.head(name)
    return chosen


def pool_rows(parts: Sequence[Mapping[str, Tokens]]) -> dict[str, Tokens]:
    """Stack token sets of different lengths into one pool, padding with invalid tokens."""
    pooled = {}
    for m in parts[0]:
        longest = max(part[m].values.shape[1] for part in parts)
        pooled[m] = Tokens(
            torch.cat([_lengthen(part[m].values, longest) for part in parts]),
            torch.cat([_lengthen(part[m].mask[..., None], longest)[..., 0] for part in parts]),
            _stacked([part[m].raw for part in parts], longest),
            _stacked([part[m].positions for part in parts], longest),
        )
    return pooled


def _stacked(parts: Sequence[Tensor | None], length: int) -> Tensor | None:
    there = [_lengthen(part, length) for part in parts if part is not None]
    return torch.cat(there) if len(there) == len(parts) else None


def _lengthen(values: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, 0, 0, length - values.shape[1]))
