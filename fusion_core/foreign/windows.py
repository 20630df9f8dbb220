"""Audio for language models that hear through a Whisper-like tower: log-mel in, one token per four frames of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import WhisperFeatureExtractor

from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.foreign.head import ROWS
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.clips import Clip, resample
from fusion_core.types import ModalityInputs, TokenAxis, Tokens

PER_STATE, PER_TOKEN = 2, 4  # frames of the log-mel: the tower's second convolution halves them, its pooling again
#: Frames of the shortest clip that has a token, in the family's own counting.
FEWEST = 3
#: In the log-mel as Whisper scales it: what lies 80 dB under the loudest cell is silence, and what lies under -100 dB.
RANGE, FLOOR = 2.0, -1.5
LIMITS = {"feature_size": 256, "sampling_rate": 192_000, "hop_length": 8_192, "chunk_length": 60, "n_fft": 16_384}
#: Settings with which the family would read something else than the clip and silence behind it.
ZERO = ("padding_value", "dither")


class WindowEncoder:
    """A clip's log-mel through a tower and a projection: tokens are what the language model reads, 40 ms each.

    The family fills a window (30 s) with silence and lets nobody read it. So only the frames that a token of the clip
    reads are kept and run; the rest of the window would change nothing. A longer clip is cut to the window. One too
    short for a token is read with the silence behind it, as one; the family has none for it.
    """

    modality = "audio"
    baseline_name = "silence"

    def __init__(
        self,
        source: EncoderSource,
        settings: Mapping[str, Any],
        tower: Any,
        project: Callable[[Tensor], Tensor],
        width: int,
    ) -> None:
        self.source, self.tower, self.project = source, tower, project
        self.extractor = _extractor(settings, source.name)
        own, config = self.extractor, tower.config
        self.rate, self.bands, self.hop = int(own.sampling_rate), int(own.feature_size), int(own.hop_length)
        self.window = int(own.nb_max_frames)
        wanted = (int(config.num_mel_bins), PER_STATE * int(config.max_source_positions))
        if (self.bands, self.window) != wanted:
            raise ModelError(
                f"preprocessor_config.json of {source.name} gives {self.bands} bands of {self.window:,} frames; "
                f"its audio tower reads {wanted[0]} of {wanted[1]:,}"
            )
        self.tokens = self.window // PER_TOKEN
        self.seconds = PER_TOKEN * self.hop / self.rate
        self.spec = TokenSpec(width, "frames")
        self.preprocessing: dict[str, Any] = {"rate": self.rate, "mels": self.bands, "seconds": own.chunk_length}

    def prepare(self, clips: Sequence[Clip | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Compute log-mel `[B, bands, F]`, of each clip the frames that its tokens read; mask `[B, F]`."""
        mels: list[Tensor] = []
        axes: list[TokenAxis | None] = []
        notes: list[tuple[str, ...]] = []
        for clip in clips:
            mel, axis, note = (torch.zeros(self.bands, 0), None, ()) if clip is None else self._heard(clip)
            mels.append(mel)
            axes.append(axis)
            notes.append(note)
        longest = max([PER_TOKEN, *(mel.shape[1] for mel in mels)])
        values = torch.stack([functional.pad(mel, (0, longest - mel.shape[1]), value=FLOOR) for mel in mels])
        mask = torch.stack([torch.arange(longest) < mel.shape[1] for mel in mels])
        return ModalityInputs(values, mask, tuple(axes)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Run log-mel through the tower, `[B, T, H]`; records without audio are not run."""
        states = inputs.mask.sum(dim=1) // PER_STATE
        counts = states // (PER_TOKEN // PER_STATE)
        longest = max(1, int(counts.max()))
        found = inputs.values.new_zeros(len(counts), longest, self.spec.width)
        there = (counts > 0).nonzero()[:, 0]
        for rows in there.split(max(1, len(there)) if torch.is_grad_enabled() else ROWS) if len(there) else ():
            own = self._run(inputs.values[rows], states[rows])
            found = found.index_copy(0, rows, functional.pad(own, (0, 0, 0, longest - own.shape[1])))
        mask = torch.arange(longest) < counts[:, None]
        return Tokens(torch.where(mask[..., None], found, 0.0), mask)

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: what silence is beside each clip."""
        loudest = inputs.values.amax(dim=(1, 2), keepdim=True)
        return (loudest - RANGE).clamp(min=FLOOR).expand_as(inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which token every cell of the first row's log-mel `[bands, F]` belongs to, -1 for padding.

        The frames behind the last token's own, at most five, are heard through its neighbours: they are counted to it.
        """
        own = int(inputs.mask[0].sum())
        owner = (torch.arange(inputs.values.shape[2]) // PER_TOKEN).clamp(max=own // PER_TOKEN - 1)
        return torch.where(inputs.mask[0], owner, -1).expand(inputs.values.shape[1:])

    def _run(self, mel: Tensor, states: Tensor) -> Tensor:
        """Run the tower on rows of `states [B]` each, no longer than the longest: `[B, T, H]`, T at least one's own."""
        tower, longest = self.tower, int(states.max())
        x = functional.gelu(tower.conv1(mel[:, :, : PER_STATE * longest + 1]))
        x = functional.gelu(tower.conv2(x)).transpose(1, 2)[:, :longest] + tower.embed_positions.weight[:longest]
        allowed = (torch.arange(longest) < states[:, None])[:, None, None].expand(-1, 1, longest, -1)
        for layer in tower.layers:
            x = layer(x, allowed)
        pooled = tower.avg_pooler(x.transpose(1, 2)).transpose(1, 2)
        return self.project(tower.layer_norm(pooled))

    def _heard(self, clip: Clip) -> tuple[Tensor, TokenAxis, tuple[str, ...]]:
        samples = resample(clip.samples, clip.rate, self.rate)
        most, length = self.extractor.n_samples, len(samples)
        notes: tuple[str, ...] = ()
        if length > most:
            notes = (f"audio cut to its first {most / self.rate:.0f} of {length / self.rate:.1f} s",)
            samples = samples[:most]
        frames = min(self.window, -(-len(samples) // self.hop))
        if frames < FEWEST:
            notes = (f"audio of {1000 * length / self.rate:.1f} ms read with silence behind it, as one token",)
            frames = FEWEST
        states = -(-frames // PER_STATE)
        kept = min(self.window, PER_STATE * states + 1)  # the last state reads one frame more
        whole = min(most, kept * self.hop + self.extractor.n_fft)  # what no kept frame reaches is not worked out
        found = self.extractor(samples, sampling_rate=self.rate, padding="max_length", max_length=whole)
        mel = torch.from_numpy(np.asarray(found["input_features"][0], np.float32)[:, :kept].copy())
        return mel, self._axis(states * PER_STATE // PER_TOKEN, len(samples) / self.rate), notes

    def _axis(self, count: int, end: float) -> TokenAxis:
        spans = tuple((n * self.seconds, min((n + 1) * self.seconds, end)) for n in range(count))
        return TokenAxis("frames", tuple(f"{a:.2f}-{b:.2f} s" for a, b in spans), spans)


def _extractor(settings: Mapping[str, Any], name: str) -> WhisperFeatureExtractor:
    """Return the family's own log-mel, as a folder says it, within bounds."""
    given = {key: settings[key] for key in LIMITS if key in settings}
    if any(not isinstance(n, int) or not 0 < n <= LIMITS[key] for key, n in given.items()):
        raise ModelError(f"preprocessor_config.json of {name} is out of range", "model_refused")
    for key in ZERO:
        if settings.get(key, 0) != 0:
            raise ModelError(f"preprocessor_config.json of {name} has {key} {settings[key]}; only 0 is read")
    if given.get("n_fft", 400) > given.get("sampling_rate", 16_000) * given.get("chunk_length", 30):
        raise ModelError(f"preprocessor_config.json of {name} has n_fft over its whole window")
    try:
        return WhisperFeatureExtractor(**given)
    except (TypeError, ValueError) as error:
        raise ModelError(f"preprocessor_config.json of {name} cannot be read") from error
