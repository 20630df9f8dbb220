"""Pictures, clips and arrays as text a page can carry: data URIs, base64 and waveforms, the same bytes every time."""

from __future__ import annotations

import io
import wave
from base64 import b64encode

import numpy as np
from PIL import Image

LONGEST_SIDE = 640  # pixels
PLAYBACK_RATE = 16_000  # samples per second
PLAYBACK_LIMIT = 30.0  # seconds


def base64_of(values: np.ndarray) -> str:
    """Return an array's bytes, row-major and little-endian, as base64."""
    return b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def webp_uri(pixels: np.ndarray, longest: int = LONGEST_SIDE) -> str:
    """Return `pixels uint8 [H, W, 3]` as a WebP data URI whose longer side is at most `longest` pixels."""
    picture = Image.fromarray(pixels, "RGB")
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=88, method=4)
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def resample(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Resample `samples [N]` through the spectrum, which cuts everything above the new Nyquist frequency."""
    if rate == to or not len(samples):
        return samples
    length = max(1, round(len(samples) * to / rate))
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return np.fft.irfft(spectrum, n=length) * (length / len(samples))


def wav_uri(samples: np.ndarray, rate: int, limit: float = PLAYBACK_LIMIT) -> str:
    """Return the first `limit` seconds of `samples float [N]` in -1..1 as a 16 kHz mono 16-bit WAV data URI."""
    heard = resample(np.nan_to_num(samples[: int(limit * rate)]), rate, PLAYBACK_RATE)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(PLAYBACK_RATE)
        file.writeframes((np.clip(heard, -1, 1) * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def peaks(samples: np.ndarray, columns: int = 600) -> np.ndarray:
    """Return lowest and highest sample per column, relative to the loudest: `int8 [2, columns]` in -127..127."""
    columns = max(1, min(columns, len(samples)))
    padded = np.nan_to_num(samples) if len(samples) else np.zeros(1)
    edges = np.linspace(0, len(padded), columns + 1).astype(int)[:-1]
    extremes = np.stack([np.minimum.reduceat(padded, edges), np.maximum.reduceat(padded, edges)])
    loudest = float(np.abs(extremes).max()) or 1.0
    return np.round(extremes / loudest * 127).astype(np.int8)


def peak_level(samples: np.ndarray) -> float | None:
    """Return the loudest sample in dBFS; None for digital silence."""
    loudest = float(np.abs(np.nan_to_num(samples)).max(initial=0.0))
    return round(20 * float(np.log10(loudest)), 1) if loudest > 0 else None
