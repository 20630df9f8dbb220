"""Audio for CLAP: log-mel in slices of a quarter of a second, with their seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import ClapFeatureExtractor

from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.clips import Clip, resample
from fusion_core.types import ModalityInputs, TokenAxis, Tokens

SLICE = 25  # frames of a token
FLOOR = -100.0  # dB: what digital silence is in the log-mel
LIMITS = {
    "feature_size": 256,
    "sampling_rate": 192_000,
    "hop_length": 8_192,
    "max_length_s": 60,
    "fft_window_size": 16_384,
}
KEPT = (*LIMITS, "frequency_min", "frequency_max", "truncation", "padding")


class SliceEncoder:
    """A clip's own log-mel cut into slices, which are its tokens; the tower repeats and pads them as CLAP's does.

    CLAP repeats a short clip until the window (10 s) is full. Here the log-mel is repeated rather than the samples, so
    that a slice is a token once; only frames at the seams differ. A longer clip is cut to its first seconds.
    """

    modality = "audio"
    baseline_name = "silence"

    def __init__(self, source: EncoderSource, settings: Mapping[str, Any]) -> None:
        self.source = source
        given = {key: settings[key] for key in KEPT if key in settings}
        if any(not isinstance(given.get(k, 1), int) or not 0 < given.get(k, 1) <= most for k, most in LIMITS.items()):
            raise ModelError(f"preprocessor_config.json of {source.name} is out of range", "model_refused")
        try:
            self.extractor = ClapFeatureExtractor(**given)
        except (TypeError, ValueError) as error:
            raise ModelError(f"preprocessor_config.json of {source.name} cannot be read") from error
        own = self.extractor
        self.rate, self.bands, self.hop = int(own.sampling_rate), int(own.feature_size), int(own.hop_length)
        self.window = int(own.nb_max_samples) // self.hop + 1
        self.filters = own.mel_filters if own.truncation == "fusion" else own.mel_filters_slaney
        self.seconds = SLICE * self.hop / self.rate
        self.spec = TokenSpec(self.bands * SLICE, "frames")
        self.preprocessing: dict[str, Any] = {"rate": self.rate, "mels": self.bands, "seconds": own.max_length_s}

    def prepare(self, clips: Sequence[Clip | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Compute log-mel `[B, bands, F]`, F a multiple of 25 frames; mask `[B, F]`."""
        mels, axes, notes = [], [], []
        for clip in clips:
            mel, note = self._mel(clip) if clip is not None else (np.zeros((0, self.bands), np.float32), ())
            mels.append(torch.from_numpy(mel.T.copy()))
            axes.append(self._axis(len(mel) // SLICE) if clip is not None else None)
            notes.append(note)
        longest = max(SLICE, *(mel.shape[1] for mel in mels), SLICE)
        values = torch.stack([functional.pad(mel, (0, longest - mel.shape[1]), value=FLOOR) for mel in mels]).float()
        mask = torch.stack([torch.arange(longest) < mel.shape[1] for mel in mels])
        return ModalityInputs(values, mask, tuple(axes)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Cut log-mel into slices `[B, T, bands * 25]`."""
        cut = inputs.values.unflatten(2, (-1, SLICE)).transpose(1, 2).flatten(2)
        return Tokens(cut, inputs.mask[:, ::SLICE])

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: digital silence."""
        return torch.full_like(inputs.values, FLOOR)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which slice every cell of the first row's log-mel `[bands, F]` belongs to, -1 for padding."""
        owner = torch.arange(inputs.values.shape[2]) // SLICE
        return torch.where(inputs.mask[0], owner, -1).expand(inputs.values.shape[1:])

    def _mel(self, clip: Clip) -> tuple[np.ndarray, tuple[str, ...]]:
        samples = resample(clip.samples, clip.rate, self.rate).astype(np.float64)
        most = int(self.extractor.nb_max_samples)
        notes: tuple[str, ...] = ()
        if len(samples) > most:
            notes = (f"audio cut to its first {most / self.rate:.0f} of {len(samples) / self.rate:.1f} s",)
            samples = samples[:most]
        if len(samples) < self.extractor.fft_window_size:
            samples = np.pad(samples, (0, self.extractor.fft_window_size - len(samples)))
        mel = np.asarray(self.extractor._np_extract_fbank_features(samples, self.filters), np.float32)
        count = min(self.window // SLICE, -(-(len(mel) - 1) // SLICE))
        mel = mel[: count * SLICE]
        return np.pad(mel, ((0, count * SLICE - len(mel)), (0, 0)), constant_values=FLOOR), notes

    def _axis(self, count: int) -> TokenAxis:
        spans = tuple((n * self.seconds, (n + 1) * self.seconds) for n in range(count))
        return TokenAxis("frames", tuple(f"{a:.2f}-{b:.2f} s" for a, b in spans), spans)
