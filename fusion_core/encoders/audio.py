"""Audio encoders: log-mel in, frames with their seconds out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from fusion_core.encoders.source import (
    EncoderRoots,
    EncoderSource,
    hash_settings,
    load_frozen,
    locate,
    read_config,
    require_safetensors,
    verify,
)
from fusion_core.errors import ModelError
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.clips import Clip, resample
from fusion_core.types import ModalityInputs, TokenAxis, Tokens

WHISPER = EncoderSource(
    "directory",
    "whisper-tiny.en-encoder",
    "c170cba0eed10e02f24cd1f61a478b33a4b1f25d3caa78a2b02a90ca3321d51c",
    "a1708520c3c554c9cb8223e065bb2b91917fc96d0febc33d671cedf78486510f",
)
RATE = 16_000
SHORTEST = 320  # samples: 20 ms, one frame of the encoder
LONGEST = 30 * RATE
MAX_FRAMES = 40
MELS = 80
SLICES = 2  # of a frame's log-mel, each averaged over time


class AudioEncoder:
    """The Whisper encoder, run on the clip's own length and pooled to at most 40 frames.

    Only clips of exactly the same length are encoded together: padding a batch to its longest clip changes the answers
    (an unmasked padded batch has cosine .977 to the right one).
    """

    modality = "audio"
    baseline_name = "silence"

    def __init__(self, source: EncoderSource = WHISPER, roots: EncoderRoots | None = None) -> None:
        folder = locate(source, roots or EncoderRoots())
        if read_config(folder).get("model_type") != "whisper":
            raise ModelError(f"{folder.name} is no Whisper encoder; model_type must be 'whisper'", "model_refused")
        self.source = replace(
            source,
            sha256=verify(require_safetensors(folder), source.sha256),
            settings_sha256=hash_settings(folder, source.settings_sha256),
        )
        self.model: Any = load_frozen(WhisperEncoder, folder)
        if self.model.config.num_mel_bins != MELS:
            raise ModelError(f"{folder.name} hears {self.model.config.num_mel_bins} mel bands; {MELS} are supported")
        self.extractor = WhisperFeatureExtractor(feature_size=MELS)
        self.spec = TokenSpec(int(self.model.config.d_model), "frames", raw=MELS * SLICES)
        self.preprocessing: dict[str, Any] = {"rate": RATE, "mels": MELS, "frames": MAX_FRAMES, "seconds": 30}

    def prepare(self, clips: Sequence[Clip | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Resample to 16 kHz and compute log-mel `[B, 80, F]` (100 frames a second, F even); mask `[B, F]`."""
        mels: list[np.ndarray] = []
        axes: list[TokenAxis | None] = []
        notes: list[tuple[str, ...]] = []
        for clip in clips:
            if clip is None:
                mels.append(np.zeros((80, 0), np.float32))
                axes.append(None)
                notes.append(())
                continue
            samples, note = _fit(clip)
            mels.append(self._mel(samples))
            axes.append(_axis(mels[-1].shape[1] // 2))
            notes.append(note)
        length = max(2, *(mel.shape[1] for mel in mels), 2)
        values = torch.zeros(len(mels), 80, length)
        mask = torch.zeros(len(mels), length, dtype=torch.bool)
        for row, mel in enumerate(mels):
            values[row, :, : mel.shape[1]] = torch.from_numpy(mel)
            mask[row, : mel.shape[1]] = True
        return ModalityInputs(values, mask, tuple(axes)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Encode log-mel `[B, 80, F]` into pooled frames `[B, T, D]`, T at most 40.

        raw is the log-mel of each frame itself, `[B, T, 160]`: the mean of its first half and of its second.
        """
        clips = [v[:, : int(m.sum())] for v, m in zip(inputs.values, inputs.mask, strict=True)]
        rows = self._encode_clips(clips)
        longest = max(1, *(len(r) for r in rows), 1)

        def stacked(each: list[Tensor]) -> Tensor:
            return torch.stack([functional.pad(r, (0, 0, 0, longest - len(r))) for r in each])

        mask = torch.stack([torch.arange(longest) < len(r) for r in rows])
        return Tokens(stacked(rows), mask, stacked([_slices(clip) for clip in clips]))

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: each clip's own floor, which is what silence looks like beside it."""
        return inputs.values.amin(dim=(1, 2), keepdim=True).expand_as(inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which pooled frame every cell of the first row's log-mel `[80, F]` belongs to, -1 for padding."""
        length = int(inputs.mask[0].sum())
        owner = torch.full((inputs.values.shape[2],), -1)
        for number, (start, end) in enumerate(_pools(length // 2)):
            owner[2 * start : 2 * end] = number
        return owner.expand(inputs.values.shape[1:])

    def _mel(self, samples: np.ndarray) -> np.ndarray:
        features = self.extractor(samples, sampling_rate=RATE, return_tensors="np", padding="longest")
        return np.asarray(features["input_features"][0, :, : len(samples) // 160], np.float32)

    def _encode_clips(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Encode log-mels `[80, F]` into pooled frames `[T, D]` each, those of equal length together."""
        found: dict[int, Tensor] = {}
        for length in sorted({mel.shape[1] for mel in mels}):
            rows = [k for k, mel in enumerate(mels) if mel.shape[1] == length]
            encoded = self._encode_equal(torch.stack([mels[k] for k in rows]))
            found |= dict(zip(rows, encoded, strict=True))
        return [found[k] for k in range(len(mels))]

    def _encode_equal(self, mels: Tensor) -> Tensor:
        if mels.shape[2] == 0:
            return mels.new_zeros(len(mels), 0, self.spec.width)
        x = functional.gelu(self.model.conv1(mels))
        x = functional.gelu(self.model.conv2(x)).transpose(1, 2)
        x = x + self.model.embed_positions.weight[: x.shape[1]]
        for layer in self.model.layers:
            y = layer(x, None)
            x = y[0] if isinstance(y, tuple) else y
        frames = self.model.layer_norm(x)
        return torch.stack([frames[:, a:b].mean(dim=1) for a, b in _pools(frames.shape[1])], dim=1)


def _fit(clip: Clip) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bring a clip to 16 kHz and a length the encoder takes (20 ms to 30 s), saying what was done."""
    samples = resample(clip.samples, clip.rate, RATE)
    notes = []
    if len(samples) < SHORTEST:
        notes.append(f"audio of {1000 * len(samples) / RATE:.0f} ms padded to 20 ms")
        samples = np.pad(samples, (0, SHORTEST - len(samples)))
    if len(samples) > LONGEST:
        notes.append(f"audio cut to its first 30 of {len(samples) / RATE:.1f} s")
        samples = samples[:LONGEST]
    return samples[: len(samples) // SHORTEST * SHORTEST], tuple(notes)


def _pools(length: int) -> list[tuple[int, int]]:
    """Split `length` encoder frames (20 ms each) into at most 40 consecutive runs of nearly equal length."""
    count = min(MAX_FRAMES, length)
    return [(k * length // count, (k + 1) * length // count) for k in range(count)]


def _slices(mel: Tensor) -> Tensor:
    """Return the log-mel `[80, F]` of every pooled frame, `[T, 160]`: its two halves, each the mean over time."""
    if mel.shape[1] == 0:
        return mel.new_zeros(0, MELS * SLICES)
    halves = [(mel[:, 2 * a : a + b], mel[:, a + b : 2 * b]) for a, b in _pools(mel.shape[1] // 2)]
    return torch.stack([torch.cat([half.mean(dim=1) for half in pair]) for pair in halves])


def _axis(length: int) -> TokenAxis:
    spans = tuple((a * 0.02, b * 0.02) for a, b in _pools(length))
    return TokenAxis("frames", tuple(f"{a:.2f}-{b:.2f} s" for a, b in spans), spans)
