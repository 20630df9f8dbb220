"""Pictures, clips and arrays as the viewer takes them."""

from __future__ import annotations

import numpy as np

from fusion_core.embedded import PLAYBACK_LIMIT, base64_of, peak_level, peaks, wav_uri, webp_uri

__all__ = [
    "MEL_FRAMES_PER_SECOND",
    "audio",
    "base64_of",
    "image",
    "peak_level",
    "peaks",
    "spectrogram",
    "wav_uri",
    "webp_uri",
]

MEL_FRAMES_PER_SECOND = 100  # Whisper's hop of 10 ms


def spectrogram(
    mel: np.ndarray, seconds: float, columns: int = 800, pace: float = MEL_FRAMES_PER_SECOND
) -> dict[str, object]:
    """Return log-mel `[bands, F]` of `pace` frames per second as bytes, low bands last, padding after `seconds` cut."""
    kept = np.nan_to_num(mel[:, : max(1, min(mel.shape[1], round(seconds * pace)))])
    covered = kept.shape[1] / pace
    step = -(-kept.shape[1] // columns)
    starts = np.arange(0, kept.shape[1], step)
    thinned = np.add.reduceat(kept, starts, axis=1) / np.diff(np.append(starts, kept.shape[1]))
    low, high = np.percentile(thinned, [5, 99.7])
    scaled = np.clip((thinned - low) / max(high - low, 1e-6), 0, 1)
    levels = np.round(scaled[::-1] * 255).astype(np.uint8)
    return {"data": base64_of(levels), "rows": levels.shape[0], "columns": levels.shape[1], "seconds": covered}


def image(pixels: np.ndarray) -> dict[str, object]:
    """Return a picture as the viewer takes it: a data URI and the size in the pixels its boxes count."""
    return {"src": webp_uri(pixels), "width": pixels.shape[1], "height": pixels.shape[0]}


def audio(
    samples: np.ndarray, rate: int, mel: np.ndarray | None, pace: float = MEL_FRAMES_PER_SECOND
) -> dict[str, object]:
    """Return a clip as the viewer takes it: something to play, a waveform and, given `mel`, a spectrogram."""
    seconds = len(samples) / rate
    return {
        "src": wav_uri(samples, rate),
        "seconds": seconds,
        "playable": min(seconds, PLAYBACK_LIMIT),
        "rate": rate,
        "level": peak_level(samples),
        "peaks": base64_of(peaks(samples)),
        "spectrogram": None if mel is None else spectrogram(mel, seconds, pace=pace),
    }
