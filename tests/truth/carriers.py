"""Carriers of one bit per modality, with the place of the bit: made, encoded by the real encoders, and combined freely.

text: 8 words, one carries the bit. image: a glyph in a random cell of a 4 x 4 grid. audio: a tone of 440 or 880 Hz in a
random quarter of a second. A cue, where one is planted, is a second bit beside it: a word, a patch of 6 x 6 pixels in a
corner, a beep of 50 ms. A few hundred distinct texts, pictures and clips give thousands of records.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import soundfile
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fusion_core.encoders.stack import EncoderStack
from fusion_core.reading.media import media_from_bytes
from fusion_core.tokens import TokenSet, encode_records
from fusion_core.types import MODALITIES, Record, TokenAxis, Tokens

WORDS = 8
SIDE, GRID, PATCH = 224, 4, 6
RATE, SECONDS, QUARTER, BEEP = 16_000, 1.0, 0.25, 0.05
BIT_WORDS, CUE_WORDS = ("winter", "summer"), ("copper", "silver")
FILLERS = (
    *("table", "window", "garden", "street", "paper", "bottle", "carpet", "basket", "pencil", "mirror", "ladder"),
    *("blanket", "kettle", "drawer", "engine", "button", "curtain", "pillow", "hammer", "bucket", "candle", "fence"),
    *("towel", "shelf"),
)
BIT_HERTZ, CUE_HERTZ = (440, 880), (2_000, 3_500)

Span = tuple[float, ...]


@dataclass(frozen=True)
class Made:
    """One text, picture or clip; the places of its bit and of its cue in words, pixels or seconds."""

    record: Record
    bit: int
    cue: int | None
    bit_place: Span
    cue_place: Span | None


@dataclass(frozen=True)
class Pool:
    """Encoded carriers of one modality: tokens, the bit and cue of each row `[N]`, and where they lie.

    bit_share, cue_share: how much of each token the carrier covers, `[N, T]`; zeros where there is none.
    """

    tokens: Tokens
    bits: Tensor
    cues: Tensor
    bit_share: Tensor
    cue_share: Tensor

    def rows(self, bit: int, cue: int | None = None) -> Tensor:
        """Return the rows that carry a bit, and a cue where one is named."""
        wanted = (self.bits == bit) & ((self.cues == cue) if cue is not None else True)
        return wanted.nonzero()[:, 0]

    def part(self, rows: Tensor) -> Pool:
        """Return some of the rows as a pool."""
        return Pool(self.tokens.rows(rows), *(t[rows] for t in (self.bits, self.cues, self.bit_share, self.cue_share)))


def text(rng: np.random.Generator, bit: int, cue: int | None) -> Made:
    """Return 8 words, one of them the bit's, another the cue's."""
    words = list(rng.choice(FILLERS, WORDS, replace=False))
    at, beside = (int(i) for i in rng.choice(WORDS, 2, replace=False))
    words[at] = BIT_WORDS[bit]
    if cue is not None:
        words[beside] = CUE_WORDS[cue]
    return Made(Record("t", text=" ".join(words)), bit, cue, (at,), (beside,) if cue is not None else None)


def image(rng: np.random.Generator, bit: int, cue: int | None) -> Made:
    """Return a disc or a cross in one cell of a 4 x 4 grid; the cue is a dark or a light patch in the corner."""
    pixels = np.clip(rng.normal(150, 6, (SIDE, SIDE, 1)) + rng.normal(0, 8, 3), 0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    step = SIDE // GRID
    x, y = (int(v) * step for v in rng.integers(GRID, size=2))
    ink = tuple(int(v) for v in rng.integers(20, 80, size=3))
    near, far = 8, step - 8
    if bit == 0:
        draw.ellipse((x + near, y + near, x + far, y + far), fill=ink)
    else:
        draw.line((x + near, y + near, x + far, y + far), fill=ink, width=9)
        draw.line((x + near, y + far, x + far, y + near), fill=ink, width=9)
    corner = (0, 0, PATCH, PATCH)
    if cue is not None:
        draw.rectangle((0, 0, PATCH - 1, PATCH - 1), fill=(255, 230, 0) if cue else (0, 0, 255))
    file = io.BytesIO()
    picture.save(file, "PNG")
    record = Record("i", image=media_from_bytes(file.getvalue(), "carrier.png"))
    return Made(record, bit, cue, (x, y, x + step, y + step), corner if cue is not None else None)


def audio(rng: np.random.Generator, bit: int, cue: int | None) -> Made:
    """Return a second of faint noise with a tone in a quarter of it; the cue is a beep in its last 50 ms."""
    time = np.arange(int(RATE * SECONDS)) / RATE
    samples = rng.normal(0, 0.003, len(time))
    start = float(rng.integers(round((SECONDS - QUARTER) / 0.02))) * 0.02
    samples += _tone(time, start, QUARTER, BIT_HERTZ[bit], rng.uniform(0.2, 0.3))
    beep = (SECONDS - BEEP, SECONDS)
    if cue is not None:
        samples += _tone(time, *beep[:1], BEEP, CUE_HERTZ[cue], 0.3)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    record = Record("a", audio=media_from_bytes(file.getvalue(), "carrier.wav"))
    return Made(record, bit, cue, (start, start + QUARTER), beep if cue is not None else None)


def _tone(time: np.ndarray, start: float, length: float, hertz: float, loud: float) -> np.ndarray:
    inside = (time >= start) & (time < start + length)
    return np.where(inside, loud * np.sin(2 * np.pi * hertz * time), 0.0)


MAKERS: Mapping[str, Callable[[np.random.Generator, int, int | None], Made]] = {
    "text": text,
    "image": image,
    "audio": audio,
}


def pool(stack: EncoderStack, modality: str, count: int, seed: int, cued: bool = False) -> Pool:
    """Make and encode carriers, the bit balanced; with a cue, every carrier twice: row k + 1 differs from k in it."""
    made = [one(modality, row, seed, cued) for row in range(count)]
    records = [replace(m.record, id=str(k)) for k, m in enumerate(made)]
    tokens, refused = encode_records(stack, records)
    assert not refused
    assert len(tokens) == len(made)
    encoded = tokens.pools[modality].rows(tokens.index[modality])
    axes = [stack.prepare([r]).axes(0)[modality] for r in (records if modality == "text" else records[:1])]
    return Pool(
        Tokens(encoded.values.float(), encoded.mask),
        torch.tensor([m.bit for m in made]),
        torch.tensor([-1 if m.cue is None else m.cue for m in made]),
        torch.stack([covered(axes[k % len(axes)], m.bit_place) for k, m in enumerate(made)]),
        torch.stack([covered(axes[k % len(axes)], m.cue_place) for k, m in enumerate(made)]),
    )


def one(modality: str, row: int, seed: int, cued: bool = False) -> Made:
    """Make the carrier of one row of a pool: the bit alternates, and with a cue the cue does first."""
    number, cue = (row // 2, row % 2) if cued else (row, None)
    return MAKERS[modality](np.random.default_rng([seed, number]), number % 2, cue)


def covered(axis: TokenAxis, place: Span | None) -> Tensor:
    """Return how much of each token a place covers, `[T]`."""
    if place is None:
        return torch.zeros(len(axis.spans))
    if axis.kind == "words":
        return torch.nn.functional.one_hot(torch.tensor(int(place[0])), len(axis.spans)).float()
    spans = torch.tensor(axis.spans)
    sides = spans.shape[1] // 2
    low, high = torch.tensor(place[:sides]), torch.tensor(place[sides:])
    overlap = (torch.minimum(spans[:, sides:], high) - torch.maximum(spans[:, :sides], low)).clamp(min=0)
    return (overlap / (spans[:, sides:] - spans[:, :sides])).prod(dim=1)


Rule = Callable[..., Tensor]


def records(
    pools: Mapping[str, Pool], rule: Rule, count: int, seed: int, cued: Mapping[str, float] | None = None
) -> tuple[TokenSet, dict[str, Tensor]]:
    """Combine pool rows into records labelled `rule(text, image, audio)` (bits, or probabilities of label 1).

    cued: per modality the probability that its cue equals the label. Returns the records and each one's bits.
    """
    rng = np.random.default_rng(seed)
    bits = {m: torch.from_numpy(rng.integers(2, size=count)) for m in MODALITIES}
    chance = rule(*(bits[m] for m in MODALITIES)).double().numpy()
    labels = (rng.random(count) < chance).astype(int)
    index = {}
    for m, p in pools.items():
        has_cues = bool((p.cues >= 0).any())
        agree = rng.random(count) < (cued or {}).get(m, 0.5)
        cues = np.where(agree, labels, 1 - labels)
        choices = {(b, c): p.rows(b, c if has_cues else None).numpy() for b in (0, 1) for c in (0, 1)}
        index[m] = torch.tensor([int(rng.choice(choices[int(b), int(c)])) for b, c in zip(bits[m], cues, strict=True)])
    return (
        TokenSet(
            {m: p.tokens for m, p in pools.items()},
            index,
            tuple(str(k) for k in range(count)),
            tuple(str(label) for label in labels),
        ),
        bits,
    )


def first(tokens: TokenSet, count: int) -> TokenSet:
    """Return the first records of a set."""
    index = {m: rows[:count] for m, rows in tokens.index.items()}
    return TokenSet(tokens.pools, index, tokens.ids[:count], tokens.labels[:count])
