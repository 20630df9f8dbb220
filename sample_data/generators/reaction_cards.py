"""Reaction cards: one emoji on a pastel ground, at a random place, size and tilt."""

import colorsys
import csv
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CARD_SIDE = 112
WEBP_QUALITY = 80

_SIZE_RANGE = (48, 80)
_TILT_RANGE = (-20.0, 20.0)


@dataclass(frozen=True)
class Reaction:
    """One emoji: its name and the file name every vendor gives its picture."""

    name: str
    file: str


def reactions_by_class(source: Path) -> dict[str, list[Reaction]]:
    """The emoji of `reactions/reactions.csv` by the class of their polarity."""
    found: dict[str, list[Reaction]] = {}
    with (source / "reactions" / "reactions.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["class"], []).append(Reaction(row["name"], row["file"]))
    return found


def save_card(art: Path, path: Path, seed: int) -> None:
    """Write the card of one emoji picture as WebP, 112 x 112 pixels; the seed decides the rest."""
    rng = random.Random(seed)
    card = Image.new("RGB", (CARD_SIDE, CARD_SIDE), _pastel(rng))
    size = rng.randint(*_SIZE_RANGE)
    with Image.open(art) as picture:
        emoji = picture.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
    emoji = emoji.rotate(rng.uniform(*_TILT_RANGE), Image.Resampling.BICUBIC, expand=True)
    emoji = emoji.crop(emoji.getbbox())
    place = (rng.randint(0, CARD_SIDE - emoji.width), rng.randint(0, CARD_SIDE - emoji.height))
    card.paste(emoji, place, emoji)
    card.save(path, format="WEBP", quality=WEBP_QUALITY, method=6)


def _pastel(rng: random.Random) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.08, 0.25), rng.uniform(0.90, 1.0))
    return round(red * 255), round(green * 255), round(blue * 255)
