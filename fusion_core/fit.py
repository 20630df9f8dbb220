"""Train every strategy's head on the same cached tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from fusion_core.errors import CallError
from fusion_core.fit_plan import Pass, Teacher
from fusion_core.fusion import Head, HeadSettings, TokenSpec, strategy
from fusion_core.intervals import wilson
from fusion_core.model import Background, Fitted
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens
from fusion_core.words import AS_LOADED

AUXILIARY_WEIGHT = 0.3
DROP_MODALITY = 0.2
DONORS = 32
SMALL_SET = 2000
PASSES, MOST_PASSES, FEW_RECORDS = 16, 60, 800
#: Hears of every pass over the training records, its number and how many there may be; False ends the training there.
Watch = Callable[[Pass, int, int], bool]


@dataclass(frozen=True)
class FitSettings:
    """How heads are trained.

    rate: highest learning rate; None means 1e-3, or 3e-4 for fewer than 2,000 records, where 1e-3 overfits the
    attention heads within three passes (measured on `feedback`: .784 against .848). epochs: passes over the records at
    most; None means 16, and more for fewer than 800 records, whose passes have few steps (see `tests/bench/small_fit`).
    patience: passes without a better validation loss that end the training; None means a fifth of epochs, at least 5.
    """

    seed: int = 0
    epochs: int | None = None
    patience: int | None = None
    batch: int = 64
    rate: float | None = None
    decay: float = 0.05
    warmup: float = 0.1
    head: HeadSettings = field(default_factory=HeadSettings)

    def passes(self, records: int) -> int:
        """Return how many passes over this many training records are made at most."""
        if self.epochs is not None:
            return self.epochs
        return max(PASSES, min(MOST_PASSES, round(PASSES * (FEW_RECORDS / max(1, records)) ** 2)))


def train_head(
    name: str,
    specs: Mapping[str, TokenSpec],
    classes: Sequence[str],
    train: TokenSet,
    validation: TokenSet,
    settings: FitSettings,
    watch: Watch | None = None,
    teacher: Teacher | None = None,
) -> tuple[Head, Fitted]:
    """Train one strategy with modality dropout and early stopping on validation loss; return the best head seen.

    Weights are rounded to float16 before they are judged, because that is how they are stored. A teacher's
    probabilities are learned instead of labels; accuracy is agreement with its answers then.
    """
    started = time.perf_counter()
    wanted, judged = (wanted_of(tokens, classes, teacher) for tokens in (train, validation))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head = strategy[name](specs, len(classes), settings.head)
        _optimise(head, train, wanted, validation, judged, settings, watch)
    head.eval()
    found = judged_head(name, head, validation, judged)
    learned = "distilled" if teacher else "trained"
    return head, replace(
        found,
        training_records=len(train),
        status=learned if found.measured[1][0] > found.measured[2] else "chance",
        seed=settings.seed,
        seconds=time.perf_counter() - started,
    )


def judged_head(name: str, head: Head, validation: TokenSet, wanted: Tensor) -> Fitted:
    """Return the figures of a head that was not trained here, `as loaded`, on records it should answer `wanted` to."""
    answers = answers_of(wanted)
    correct = int((logits(head, validation).argmax(1) == answers).sum())
    return Fitted(
        strategy=name,
        parameters=head.parameter_count(),
        validation_accuracy=correct / len(validation),
        interval=wilson(correct, len(validation)),
        validation_records=len(validation),
        training_records=0,
        chance=float(answers.bincount().max()) / len(validation),
        status=AS_LOADED,
        seed=0,
        seconds=0.0,
    )


def _optimise(
    head: Head,
    train: TokenSet,
    wanted: Tensor,
    validation: TokenSet,
    validation_wanted: Tensor,
    settings: FitSettings,
    watch: Watch | None,
) -> None:
    """Run AdamW with warm-up and cosine decay, then load the weights of the best validation loss."""
    rate = settings.rate or (3e-4 if len(train) < SMALL_SET else 1e-3)
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=settings.decay, fused=True)
    passes = settings.passes(len(train))
    patience = settings.patience or max(5, round(passes / 5))
    steps = passes * -(-len(train) // settings.batch)
    steps += steps * settings.warmup == 1.0  # one step of warm-up: the schedule would divide by nothing
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=rate, total_steps=steps, pct_start=settings.warmup, cycle_momentum=False
    )
    best, best_loss, stale = _rounded(head), float("inf"), 0
    for epoch in range(passes):
        head.train()
        for rows in torch.randperm(len(train)).split(settings.batch):
            loss = _loss(head, train.batch(rows, _dropped(train, rows)), wanted[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        head.eval()
        said = logits(head, validation)
        loss_now = float(functional.cross_entropy(said, validation_wanted))
        stale += 1
        if loss_now < best_loss:
            best, best_loss, stale = _rounded(head), loss_now, 0
        right = float((said.argmax(1) == answers_of(validation_wanted)).float().mean())
        go_on = watch is None or watch(Pass(loss_now, right), epoch + 1, passes)
        if stale >= patience or not go_on:
            break
    head.load_state_dict(best)


def _loss(head: Head, tokens: dict[str, Tokens], wanted: Tensor) -> Tensor:
    """Return cross-entropy of the fused answer plus .3 times each present modality's own."""
    output = head(tokens)
    loss = functional.cross_entropy(output.logits, wanted)
    for m, alone in output.auxiliary.items():
        present = tokens[m].mask.any(dim=1)
        if present.any():
            loss = loss + AUXILIARY_WEIGHT * functional.cross_entropy(alone[present], wanted[present])
    return loss


def _dropped(tokens: TokenSet, rows: Tensor) -> dict[str, Tensor]:
    """Draw which modalities to leave out of each record, `bool [B]` each, never all that it has."""
    names = list(tokens.index)
    present = torch.stack([tokens.index[m][rows] >= 0 for m in names], dim=1)
    dropped = (torch.rand(present.shape) < DROP_MODALITY) & present
    emptied = (dropped | ~present).all(dim=1, keepdim=True)
    dropped = dropped & ~emptied
    return {m: dropped[:, k] for k, m in enumerate(names)}


def _rounded(head: Head) -> dict[str, Tensor]:
    return {name: weight.detach().half().float().clone() for name, weight in head.state_dict().items()}


def targets(tokens: TokenSet, classes: Sequence[str]) -> Tensor:
    """Return class numbers `[N]`; raises CallError for a label outside `classes` or a record without one."""
    number = {name: k for k, name in enumerate(classes)}
    missing = [label for label in tokens.labels if label not in number]
    if missing:
        raise CallError(f"label {missing[0]!r} is not one of the classes {', '.join(classes)}")
    return torch.tensor([number[str(label)] for label in tokens.labels])


def trial_seconds(
    name: str, specs: Mapping[str, TokenSpec], classes: int, train: TokenSet, settings: FitSettings
) -> float:
    """Return about how long one pass of a strategy over the training records takes, from one batch; no weight is kept.

    A pass also asks the validation records, which is about a twelfth more.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head = strategy[name](specs, classes, settings.head)
        rows, seconds = torch.arange(min(settings.batch, len(train))), 0.0
        for _ in range(2):  # the first one warms up
            started = time.perf_counter()
            _loss(head, train.batch(rows), torch.zeros(len(rows), dtype=torch.long)).backward()
            seconds = time.perf_counter() - started
    return 1.1 * seconds * len(train) / len(rows)


def wanted_of(tokens: TokenSet, classes: Sequence[str], teacher: Teacher | None = None) -> Tensor:
    """Return what a head should answer: class numbers `[N]`, or a teacher's probabilities `[N, C]`."""
    if teacher is None:
        return targets(tokens, classes)
    rows = torch.tensor([teacher.probabilities[name] for name in tokens.ids], dtype=torch.float32)
    return rows / rows.sum(dim=1, keepdim=True)


def answers_of(wanted: Tensor) -> Tensor:
    """Return class numbers `[N]` of class numbers, or of probabilities `[N, C]`."""
    return wanted.argmax(dim=1) if wanted.ndim == 2 else wanted


@torch.no_grad()
def logits(head: Head, tokens: TokenSet, batch: int = 256) -> Tensor:
    """Return a head's logits `[N, C]` over a token set."""
    rows = torch.arange(len(tokens)).split(batch)
    return torch.cat([head(tokens.batch(part)).logits for part in rows])


def draw_background(tokens: TokenSet, seed: int, size: int = DONORS) -> Background:
    """Draw donors per modality from records that have it, seeded; padding is trimmed to the longest donor drawn."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for m, index in tokens.index.items():
        having = (index >= 0).nonzero()[:, 0]
        if len(having) == 0:
            raise CallError(f"no training record has {m}; leave it out with source 'none'")
        drawn = torch.randperm(len(having), generator=generator)[:size]
        drawn = torch.cat([drawn] * -(-size // len(drawn)))[:size]
        rows = tokens.pools[m].rows(index[having[drawn]])
        longest = int(rows.mask.sum(dim=1).max())
        found[m] = rows.first(longest).each(lambda features: features.half().float())
    return Background(found)
