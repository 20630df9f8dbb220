"""Voice notes: espeak-ng reads a sentence; cut, faded, and written as Opus in Ogg."""

import io
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from sample_data.generators.ogg import with_serial

RATE = 16_000
LONGEST_SECONDS = 6.0
FADE_SECONDS = 0.15
# About 15 kbit/s, 6 kB a clip; at 0.99 (10 kbit/s) the sound above 4 kHz is made up by the codec.
COMPRESSION_LEVEL = 0.97

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VOICES = ("m1", "m2", "m3", "m4", "f1", "f2", "f3")

# Words per minute and espeak's pitch (0-99) by class: mean; one spread for all classes.
_SPEED = {"negative": 155.0, "neutral": 170.0, "positive": 185.0}
_PITCH = {"negative": 38.0, "neutral": 50.0, "positive": 62.0}
_SPEED_SPREAD = 14.0
_PITCH_SPREAD = 13.0
_SPEED_LIMITS = (100, 260)
_PITCH_LIMITS = (0, 99)

Samples = np.ndarray


class SpeechUnavailable(RuntimeError):
    """espeak-ng is not installed, or did not speak."""


@dataclass(frozen=True)
class Voice:
    """Who speaks and how: espeak-ng accent and variant, words per minute, pitch 0-99."""

    accent: str
    variant: str
    speed: int
    pitch: int


def draw_voice(mood: str, rng: random.Random) -> Voice:
    """A random voice whose speed and pitch lean towards the class `mood`."""
    accent, variant = rng.choice(ACCENTS), rng.choice(VOICES)
    speed = _within(rng.gauss(_SPEED[mood], _SPEED_SPREAD), _SPEED_LIMITS)
    pitch = _within(rng.gauss(_PITCH[mood], _PITCH_SPREAD), _PITCH_LIMITS)
    return Voice(accent, variant, speed, pitch)


def require_espeak() -> str:
    """Path of the espeak-ng program; raises `SpeechUnavailable` with the way out."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SpeechUnavailable("espeak-ng not found: install it (Debian: apt install espeak-ng)")
    return program


def speak(sentence: str, voice: Voice) -> Samples:
    """The sentence spoken: mono float [samples] at 16 kHz, at most 6 s, a cut faded out."""
    command = [
        require_espeak(), "--stdin", "--stdout", "-b", "1", "-v", f"{voice.accent}+{voice.variant}",
        "-s", str(voice.speed), "-p", str(voice.pitch),
    ]  # fmt: skip
    run = subprocess.run(command, input=sentence.encode(), capture_output=True, check=False)
    if run.returncode or not run.stdout:
        reason = run.stderr.decode(errors="replace").strip() or f"exit code {run.returncode}"
        raise SpeechUnavailable(f"espeak-ng could not read {sentence!r}: {reason}")
    samples, rate = soundfile.read(io.BytesIO(run.stdout), dtype="float32")
    divisor = int(np.gcd(RATE, rate))
    return _cut(resample_poly(samples, RATE // divisor, rate // divisor))


def save_note(samples: Samples, path: Path, serial: int) -> None:
    """Write mono 16 kHz samples as Ogg Opus; `serial` (32 bits) stands in for a random number."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        np.clip(samples, -1.0, 1.0),
        RATE,
        format="OGG",
        subtype="OPUS",
        compression_level=COMPRESSION_LEVEL,
    )
    path.write_bytes(with_serial(buffer.getvalue(), serial))


def _cut(samples: Samples) -> Samples:
    longest = round(LONGEST_SECONDS * RATE)
    if len(samples) <= longest:
        return samples
    fade = round(FADE_SECONDS * RATE)
    kept = samples[:longest].copy()
    kept[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=kept.dtype)
    return kept


def _within(value: float, limits: tuple[int, int]) -> int:
    return min(limits[1], max(limits[0], round(value)))
