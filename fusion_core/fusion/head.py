"""What every fusion strategy shares: settings, the common front, pooling, and the two-step head.

A head works in two steps, `project` (each modality by itself) and `combine` (all together), so that a ledger projects
33 distinct token sets once instead of 225.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fusion_core.attention import Attention, Probe, Segments
from fusion_core.errors import CallError
from fusion_core.registry import Registry
from fusion_core.types import MODALITIES, AxisKind, Level, Tokens


@dataclass(frozen=True)
class TokenSpec:
    """What a head must know of a modality's tokens: width, kind of axis, grid of patches, low-level width (0: none).

    places: numbers of a token's position (0: its order says where it stands).
    """

    width: int
    kind: AxisKind
    grid: tuple[int, int] | None = None
    raw: int = 0
    places: int = 0

    def width_at(self, level: Level) -> int:
        """Return the width of the features of a level."""
        return self.width if level == "tokens" else self.raw


@dataclass(frozen=True)
class HeadSettings:
    """Size of a head."""

    width: int = 128
    heads: int = 4
    layers: int = 2
    dropout: float = 0.3


@dataclass(frozen=True)
class HeadOutput:
    """`logits [B, C]`, what each modality says by itself, and the record as the strategy sees it.

    auxiliary: each modality's own logits `[B, C]` (a training aid). fused: the joint vector `[B, F]` that the last
    linear map turns into logits, after all modalities met; `late`, where they never meet, says what it puts there.
    """

    logits: Tensor
    auxiliary: dict[str, Tensor]
    fused: Tensor


def masked_mean(tokens: Tokens) -> Tensor:
    """Return the mean of the valid tokens, `[B, D]`; zeros where there are none."""
    valid = tokens.mask[..., None]
    return torch.where(valid, tokens.values, 0.0).sum(1) / valid.sum(1).clamp(min=1)


class Clean(nn.Module):
    """A front that leaves tokens as they are; invalid positions become zeros."""

    def forward(self, tokens: Tokens) -> Tokens:
        """Return the same tokens, `[B, T, D]`."""
        return replace(tokens, values=torch.where(tokens.mask[..., None], tokens.values, 0.0), raw=None)


class Front(nn.Module):
    """One modality's tokens in the head's space: `LN(H W + b) + e + p` (modality and position embeddings).

    Positions are learned rows and columns for a grid and scaled sinusoids for words and frames. Values of tokens that
    are not valid never enter (`torch.where`: 0 x NaN would be NaN).
    """

    def __init__(self, spec: TokenSpec, width: int, level: Level = "tokens") -> None:
        super().__init__()
        self.spec, self.level = spec, level
        self.linear = nn.Linear(spec.width_at(level), width)
        self.norm = nn.LayerNorm(width)
        self.modality = nn.Parameter(torch.randn(width) * 0.02)
        if spec.grid:
            self.rows = nn.Parameter(torch.randn(spec.grid[0], width) * 0.3)
            self.columns = nn.Parameter(torch.randn(spec.grid[1], width) * 0.3)
        else:
            self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, tokens: Tokens) -> Tokens:
        """Project `tokens [B, T, D_m]` to `[B, T, D]`; invalid positions become zeros."""
        valid = tokens.mask[..., None]
        features = tokens.at(self.level)
        assert features is not None
        clean = torch.where(valid, features, 0.0)
        placed = self.norm(self.linear(clean)) + self.modality + self.position(clean.shape[1])
        return Tokens(torch.where(valid, placed, 0.0), tokens.mask)

    def position(self, length: int) -> Tensor:
        """Return position embeddings `[T, D]`."""
        if self.spec.grid:
            return (self.rows[:, None] + self.columns[None]).flatten(0, 1)
        return self.gain * sinusoids(length, self.norm.normalized_shape[0]).to(self.gain)


def sinusoids(length: int, width: int) -> Tensor:
    """Return fixed position waves `[T, D]` (Vaswani 2017)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(length)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class Head(nn.Module):
    """A fusion strategy with its weights. Subclasses write `combine`.

    level: what it reads of the tokens: what the encoders made of them, or their low-level features. readout: names of
    the segments the answer is read from after the last attention, each as the mean of its valid tokens. All modalities
    unless a subclass says otherwise; without attention nobody asks. bytes_per_element: memory that the gradient of one
    row takes per element of its tokens, at most. kernel: `fused` where the answer comes another way than the one that
    attention is captured and edited on.
    """

    level: Level = "tokens"
    bytes_per_element = 40
    kernel = "explicit"
    readout: tuple[str, ...]

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__()
        self.modalities = tuple(m for m in MODALITIES if m in specs)
        self.readout = self.modalities
        self.settings = settings
        self.specs = {m: specs[m] for m in self.modalities}
        if not self.reads(specs):
            raise CallError(f"{type(self).__name__} reads low-level features, which the encoders do not all give")
        self.front = nn.ModuleDict({m: Front(specs[m], settings.width, self.level) for m in self.modalities})
        self.auxiliary = nn.ModuleDict({m: nn.Linear(settings.width, classes) for m in self.modalities})

    @property
    def where(self) -> str:
        """Where it runs, in words; empty for a head of this tool, which runs here in float32."""
        return ""

    @classmethod
    def reads(cls, specs: Mapping[str, TokenSpec]) -> bool:
        """Return whether tokens of these specs have the level the strategy reads."""
        return all(spec.width_at(cls.level) > 0 for spec in specs.values())

    def forward(self, tokens: Mapping[str, Tokens]) -> HeadOutput:
        """Fuse `tokens[m] [B, T_m, D_m]` of every modality the head was built for."""
        return self.combine(self.project(tokens))

    def free_answer(self, tokens: Mapping[str, Tokens]) -> str | None:
        """Return what the model writes by itself of one record; None for all that only weigh the classes."""
        return None

    def project(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        """Bring each modality into the head's space, `[B, T_m, D]`, in the head's own order of modalities."""
        for m in self.modalities:
            if m not in tokens:
                raise CallError(f"{m} tokens were not given; pass them with an all-False mask where {m} is absent")
            features, wanted = tokens[m].at(self.level), self.specs[m].width_at(self.level)
            if features is None:
                raise CallError(f"{m} tokens carry no low-level features, which the strategy was built for")
            if features.shape[-1] != wanted:
                kind = "tokens" if self.level == "tokens" else "low-level features"
                raise CallError(f"{m} {kind} have {features.shape[-1]} dims but the strategy was built for {wanted}")
        return {m: self.front[m](tokens[m]) for m in self.modalities}

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Fuse projected tokens into logits."""
        raise RuntimeError(f"{type(self).__name__} does not define combine")

    def combine_rows(self, projected: Mapping[str, Tokens], rows: Mapping[str, Tensor]) -> HeadOutput:
        """Fuse combinations of a projected pool's rows: `rows[m] [N]` picks modality m's tokens, -1 leaves it out."""
        return self.combine({m: projected[m].rows(rows[m]) for m in self.modalities})

    def stranger(self, classes: int) -> Head:
        """Return a head like this one with weights drawn afresh from torch's generator."""
        return type(self)(self.specs, classes, self.settings)

    def additive(self, projected: Mapping[str, Tokens]) -> Tensor | None:
        """Return the exact additive part of a set's logits `[N, C]`; None where there is no closed form.

        The best sum of functions of one modality each, over independent draws of the others (EMAP, Hessel & Lee 2020).
        """
        return None

    def last_reads(self, projected: Mapping[str, Tokens]) -> Tensor:
        """Return what the last linear maps read, `[B, F]`, a 1 for each bias included: logits differ by `W f` of these.

        The fused vector, unless several maps stand last. Influence of training records is measured there.
        """
        fused = self.combine(projected).fused
        return torch.cat([fused, fused.new_ones(len(fused), 1)], dim=1)

    def speak_alone(self, projected: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """Return each modality's own logits `[B, C]` from its pooled tokens."""
        return {m: self.auxiliary[m](masked_mean(projected[m])) for m in self.modalities}

    def parameter_count(self) -> int:
        """Return the number of trained weights."""
        return sum(p.numel() for p in self.parameters())


class SharedDropout(nn.Module):
    """Dropout that drops a feature from all tokens of a record alike (Gal & Ghahramani 2016): cheap on long axes."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Drop features of `x [B, T, D]` while training."""
        if not self.training or self.share == 0.0:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2]) >= self.share
        return x * (kept / (1.0 - self.share))


class FeedForward(nn.Module):
    """The position-wise half of a transformer block, pre-norm, with its residual."""

    def __init__(self, settings: HeadSettings, ratio: int = 2) -> None:
        super().__init__()
        width = settings.width
        self.net = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, ratio * width),
            nn.GELU(),
            SharedDropout(settings.dropout),
            nn.Linear(ratio * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `x + net(x)`, `[B, T, D]`."""
        return x + self.net(x)


class SelfBlock(nn.Module):
    """A pre-norm transformer block over one token axis."""

    def __init__(self, site: str, layer: int, settings: HeadSettings, ratio: int = 2) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(settings.width)
        self.attention = Attention(settings.width, settings.heads, Probe(site, layer))
        self.feed_forward = FeedForward(settings, ratio)

    def forward(self, x: Tensor, mask: Tensor, segments: Segments, only_first: bool = False) -> Tensor:
        """Update `x [B, T, D]` from itself where `mask bool [B, T]`.

        `only_first` updates and returns just the first segment: the others would feed nothing.
        """
        normed = self.norm(x)
        queries = segments[:1] if only_first else segments
        length = sum(count for _, count in queries)
        attended = self.attention(normed[:, :length], normed, mask, queries, segments)
        return self.feed_forward(x[:, :length] + attended)


class Classifier(nn.Sequential):
    """A perceptron whose last linear map can be read apart from what it reads."""

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits `[B, C]` and the last hidden activation `[B, hidden]`."""
        *body, last = self
        for layer in body:
            x = layer(x)
        return last(x), x


def classifier(width: int, hidden: int, classes: int, dropout: float) -> Classifier:
    """Return the two-layer perceptron that ends a head: `[B, width] -> [B, C]`."""
    return Classifier(
        nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
    )


def last_hidden(head: Head, projected: Mapping[str, Tokens]) -> list[Tensor]:
    """Return what the last layer of each modality's own classifier reads, and a 1 for its bias, `[B, H + 1]` each."""
    hidden = []
    for m in head.modalities:
        own = head.auxiliary[m]
        assert isinstance(own, Classifier)
        x = own.split(masked_mean(projected[m]))[1]
        hidden.append(torch.cat([x, x.new_ones(len(x), 1)], dim=1))
    return hidden


strategy: Registry[type[Head]] = Registry("strategy")
