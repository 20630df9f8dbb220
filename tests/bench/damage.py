"""Damage to records, independent of `fusion_core.faults`: what the diagnosis is measured on, in the units of design.md.

Every damage takes a record, a severity from 1 to 5 and a generator, and returns the damaged record.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import soundfile
from PIL import Image, ImageFilter
from scipy.signal import resample_poly

from fusion_core.reading.media import decode_audio, decode_image, media_from_bytes, read_media
from fusion_core.types import Record

Random = np.random.Generator
Damage = Callable[[Record, int, Random], Record]
RATE = 16_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
KEPT = (0.8, 0.65, 0.5, 0.35, 0.2)
OTHER_LANGUAGES = (
    "das gerät funktioniert leider nicht wie ich es erwartet habe.",
    "ich bin sehr zufrieden mit der kamera und dem akku.",
    "el producto es muy bueno y lo recomiendo a todos.",
    "la pantalla no funciona y el servicio es terrible.",
    "je suis très content de cet appareil.",
    "la batterie ne dure pas longtemps et le son est mauvais.",
    "il telefono non funziona bene e la batteria dura poco.",
    "der kundendienst hat mir bei dem problem nicht geholfen.",
    "ik ben heel blij met dit toestel maar het geluid is niet goed.",
    "o aparelho não funciona bem e a bateria dura muito pouco.",
)


def typos(record: Record, severity: int, random: Random) -> Record:
    share, out = (0.05, 0.10, 0.15, 0.25, 0.40)[severity - 1], []
    for character in record.text or "":
        letter = LETTERS[random.integers(26)]
        choice = random.integers(3) if character != " " and random.random() < share else 3
        out.append((letter, "", character + letter, character)[choice])
    return replace(record, text="".join(out))


def truncate(record: Record, severity: int, random: Random) -> Record:
    text = record.text or ""
    return replace(record, text=text[: max(1, int(len(text) * KEPT[severity - 1]))])


def language(record: Record, severity: int, random: Random) -> Record:
    return replace(record, text=OTHER_LANGUAGES[random.integers(len(OTHER_LANGUAGES))])


def mojibake(record: Record, severity: int, random: Random) -> Record:
    share = (0.03, 0.06, 0.1, 0.2, 0.3)[severity - 1]
    marks = "Ã©â€™Â¼ï¿½"
    text = "".join(marks[random.integers(len(marks))] if random.random() < share else c for c in record.text or "")
    return replace(record, text=text)


def empty(record: Record, severity: int, random: Random) -> Record:
    return replace(record, text="  ")


def on_pixels(change: Callable[[Image.Image, int, Random], Image.Image]) -> Damage:
    def damage(record: Record, severity: int, random: Random) -> Record:
        assert record.image is not None
        pixels = decode_image(read_media(record.image), record.image.name).pixels
        buffer = io.BytesIO()
        change(Image.fromarray(pixels), severity, random).save(buffer, "PNG")
        return replace(record, image=media_from_bytes(buffer.getvalue(), "damaged.png"))

    return damage


def blur(image: Image.Image, severity: int, random: Random) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur((1, 2, 3, 5, 8)[severity - 1] * image.width / 224))


def pixel_noise(image: Image.Image, severity: int, random: Random) -> Image.Image:
    values = np.asarray(image) + 255 * (0.04, 0.08, 0.12, 0.18, 0.26)[severity - 1] * random.standard_normal(
        np.asarray(image).shape
    )
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, severity: int, random: Random) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=(40, 25, 15, 10, 6)[severity - 1])
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def dark(image: Image.Image, severity: int, random: Random) -> Image.Image:
    return image.point(lambda value: int(value * (0.7, 0.55, 0.4, 0.25, 0.12)[severity - 1]))


def channel_swap(image: Image.Image, severity: int, random: Random) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(np.asarray(image)[..., ::-1]))


def blank(image: Image.Image, severity: int, random: Random) -> Image.Image:
    return Image.new("RGB", image.size, (128, 128, 128))


def crop(image: Image.Image, severity: int, random: Random) -> Image.Image:
    side = int(image.width * math.sqrt(KEPT[severity - 1]))
    left, top = random.integers(image.width - side + 1, size=2)
    return image.crop((left, top, left + side, top + side)).resize(image.size, Image.Resampling.BICUBIC)


def on_samples(change: Callable[[np.ndarray, int, Random], np.ndarray], rate: int = RATE) -> Damage:
    def damage(record: Record, severity: int, random: Random) -> Record:
        assert record.audio is not None
        clip = decode_audio(read_media(record.audio), record.audio.name)
        samples = change(clip.samples.astype(np.float64), severity, random)
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(samples, -1, 1).astype(np.float32), rate, format="WAV", subtype="PCM_16")
        return replace(record, audio=media_from_bytes(buffer.getvalue(), "damaged.wav"))

    return damage


def hiss(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    ratio = 10 ** ((20, 15, 10, 5, 0)[severity - 1] / 10)
    return samples + random.standard_normal(len(samples)) * np.sqrt(np.mean(samples**2) / ratio)


def clip(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    limit = (0.5, 0.3, 0.2, 0.12, 0.06)[severity - 1] * np.abs(samples).max()
    return np.clip(samples, -limit, limit)


def speed(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    """Play at another rate, as a file whose header is wrong."""
    factor = (9, 8, 7, 6, 5)[severity - 1]
    return resample_poly(samples, 10, factor)


def narrow(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    """Take what lies above a band limit away, as a telephone does."""
    factor = (2, 3, 4, 5, 6)[severity - 1]
    return resample_poly(resample_poly(samples, 1, factor), factor, 1)


def silence(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    return np.zeros_like(samples)


def cut(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    return samples[: int(len(samples) * KEPT[severity - 1])]


def echo(samples: np.ndarray, severity: int, random: Random) -> np.ndarray:
    delay, out = int(RATE * 0.15), samples.copy()
    out[delay:] += (0.3, 0.45, 0.6, 0.75, 0.9)[severity - 1] * samples[:-delay]
    return out


#: Damage by kind, with the cause a diagnosis should name.
DAMAGES: dict[tuple[str, str, str], Damage] = {
    ("text.typos", "text", "corrupted"): typos,
    ("text.mojibake", "text", "corrupted"): mojibake,
    ("text.language", "text", "out_of_domain"): language,
    ("text.truncate", "text", "truncated"): truncate,
    ("text.empty", "text", "missing"): empty,
    ("image.blur", "image", "corrupted"): on_pixels(blur),
    ("image.noise", "image", "corrupted"): on_pixels(pixel_noise),
    ("image.jpeg", "image", "corrupted"): on_pixels(jpeg),
    ("image.dark", "image", "corrupted"): on_pixels(dark),
    ("image.channel_swap", "image", "corrupted"): on_pixels(channel_swap),
    ("image.blank", "image", "missing"): on_pixels(blank),
    ("image.crop", "image", "truncated"): on_pixels(crop),
    ("audio.noise", "audio", "corrupted"): on_samples(hiss),
    ("audio.clip", "audio", "corrupted"): on_samples(clip),
    ("audio.echo", "audio", "corrupted"): on_samples(echo),
    ("audio.speed", "audio", "out_of_domain"): on_samples(speed),
    ("audio.narrow", "audio", "out_of_domain"): on_samples(narrow),
    ("audio.silence", "audio", "missing"): on_samples(silence),
    ("audio.cut", "audio", "truncated"): on_samples(cut),
}
