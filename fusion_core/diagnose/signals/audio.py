"""Signals of a clip: level, noise, bandwidth, echo, and whether it stops in the middle of sound."""

from __future__ import annotations

import math

import numpy as np

from fusion_core.diagnose.signals.seen import RATE, Profile, Seen, signals

FRAME = 400  # samples: 25 ms
END = 800  # samples: the last 50 ms
QUIET = 1e-8  # mean square added before logarithms: -80 dBFS
LEAST_POWER = 1e-5  # of the strongest frequency: what lies below is the codec's
ECHO_LAGS = (0.03, 0.5)  # seconds


@signals("audio")
def audio_signals(seen: Seen, profile: Profile) -> dict[str, float]:
    """Measure a clip; levels in dB, frequencies in Hz, durations as log seconds."""
    if seen.samples is None or not len(seen.samples):
        return {}
    x = seen.samples.astype(np.float64)
    energy = frame_energy(x)
    level = 10 * math.log10(float(np.mean(x**2)) + QUIET)
    loud, floor = np.percentile(energy, [95, 5])
    power = mean_power(x)
    frequency = np.fft.rfftfreq(512, 1 / RATE)
    return {
        "audio.level": level,
        "audio.seconds": math.log(len(x) / RATE + 1e-3),
        "audio.peak": 20 * math.log10(float(np.abs(x).max()) + 1e-4),
        "audio.crest": 20 * math.log10(float(np.abs(x).max()) + 1e-4) - level,
        "audio.clipping": flat_tops(x),
        "audio.floor": float(floor),
        "audio.snr": float(loud - floor),
        "audio.valleys": _valleys(x, energy),
        "audio.flatness": _flatness(power),
        "audio.quiet_flatness": _flatness(mean_power(x, energy <= np.percentile(energy, 20))),
        "audio.rolloff": rolloff(power, frequency, 0.95),
        "audio.band": rolloff(power, frequency, 0.999),
        "audio.centroid": float((frequency * power).sum() / (power.sum() + 1e-12)),
        "audio.high_share": 10 * math.log10(float(power[frequency > 6000].sum() / (power.sum() + 1e-12)) + 1e-6),
        "audio.end": 10 * math.log10(float(np.mean(x[-END:] ** 2)) + QUIET) - level,
        "audio.last": 10 * math.log10(float(np.mean(x[-160:] ** 2)) + QUIET) - level,
        "audio.start": 10 * math.log10(float(np.mean(x[:END] ** 2)) + QUIET) - level,
        "audio.echo": echo(x),
        "audio.fall": _fall(energy),
        "audio.activity": float(np.mean(energy > loud - 25)),
        "audio.pitch": pitch(x, energy),
        "audio.rate": math.log2(seen.rate / RATE),
    }


def frame_energy(x: np.ndarray) -> np.ndarray:
    """Return the level of each 25 ms frame, dBFS `[F]`."""
    frames = frames_of(x)
    return 10 * np.log10((frames**2).mean(axis=1) + QUIET)


def mean_power(x: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """Return the mean power spectrum of the chosen 25 ms frames (all by default), `[257]`."""
    frames = frames_of(x)
    if chosen is not None and chosen.any():
        frames = frames[chosen]
    return np.asarray(_powers(frames).mean(axis=0))


def frames_of(x: np.ndarray) -> np.ndarray:
    """Cut a clip into frames of 25 ms, `[F, 400]`; a shorter one is repeated to fill one."""
    count = len(x) // FRAME
    return x[: count * FRAME].reshape(count, FRAME) if count else np.resize(x, (1, FRAME))


def rolloff(power: np.ndarray, frequency: np.ndarray, share: float) -> float:
    """Return the frequency below which a share of the power lies."""
    total = np.cumsum(power)
    return float(frequency[min(np.searchsorted(total, share * total[-1]), len(frequency) - 1)])


def flat_tops(x: np.ndarray) -> float:
    """Return the share of samples that stay within 1 % of the peak for at least two samples running."""
    peak = np.abs(x).max()
    if peak < 1e-4:
        return 0.0
    top = np.abs(x) > 0.985 * peak
    return float((top[1:] & top[:-1] & (np.sign(x[1:]) == np.sign(x[:-1]))).mean())


def echo(x: np.ndarray) -> float:
    """Return the highest peak of the cepstrum between 30 and 500 ms, in robust standard deviations.

    A copy delayed by d multiplies the spectrum by a ripple of period 1/d: one line in the cepstrum (Bogert 1963).
    """
    low, high = (round(s * RATE) for s in ECHO_LAGS)
    size = 1 << max(len(x) - 1, 2 * high).bit_length()
    power = np.abs(np.fft.rfft(x, size)) ** 2
    cepstrum = np.fft.irfft(np.log(power + LEAST_POWER * power.max() + 1e-12))[low:high]
    spread = 1.4826 * np.median(np.abs(cepstrum - np.median(cepstrum))) + 1e-9
    return float(cepstrum.max() / spread)


def pitch(x: np.ndarray, energy: np.ndarray) -> float:
    """Return the median pitch of the louder half of the frames, log2 Hz, by autocorrelation over 60 to 500 Hz."""
    count = max(1, len(x) // FRAME)
    if len(x) < 4 * FRAME:
        return 7.0
    starts = np.arange(count - 2)[energy[: count - 2] >= np.median(energy)] * FRAME
    frames = np.stack([x[s : s + 3 * FRAME] for s in starts[:80]]) if len(starts) else np.zeros((1, 3 * FRAME))
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(frames, 4096, axis=1)) ** 2
    correlation = np.fft.irfft(spectrum, axis=1)[:, 32:267]
    return float(np.median(np.log2(RATE / (32 + correlation.argmax(axis=1)))))


def _flatness(power: np.ndarray) -> float:
    """Return spectral flatness, dB: 0 for white noise, far below for speech (Johnston 1988)."""
    return float(10 * (np.log10(power + 1e-10).mean() - np.log10((power + 1e-10).mean())))


def _fall(energy: np.ndarray) -> float:
    """Return how fast sound dies away: the steepest tenth of the falls over 50 ms, dB; echoes fill the gaps."""
    if len(energy) < 6:
        return 0.0
    drops = energy[:-2] - energy[2:]
    return float(np.percentile(drops, 90))


def _powers(frames: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(FRAME), 512, axis=1)) ** 2)


def _valleys(x: np.ndarray, energy: np.ndarray) -> float:
    """Return how far the valleys of the spectrum lie under its mean while there is sound, dB; noise fills them."""
    powers = _powers(frames_of(x)[energy > np.percentile(energy, 95) - 25])
    return float(10 * np.log10((np.percentile(powers, 10) + 1e-12) / (powers.mean() + 1e-12)))
