"""A record set that can be learned from tiny pictures: squares of two colours, and texts that may name them."""

from __future__ import annotations

import json
import random

import numpy as np
from PIL import Image

from fusion_core.asked import MATCH

PAINT = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def painted(folder, count=120, match=False):
    """Write a record set whose label is the colour of its picture, or whether its text names that colour."""
    folder.mkdir(exist_ok=True)
    chance, lines = random.Random(3), []
    for k in range(count):
        colour = ("red", "blue")[k % 2]
        noise = np.random.default_rng(k).integers(-25, 25, (40, 40, 3))
        Image.fromarray((np.array(PAINT[colour]) + noise).clip(0, 255).astype(np.uint8)).save(folder / f"{k}.png")
        named = chance.choice(("red", "blue"))
        label = MATCH[named == colour] if match else colour
        text = f"a {named} square" if match else f"a {chance.choice(('square', 'circle', 'cat'))}"
        lines.append(json.dumps({"id": f"r{k}", "file_name": f"{k}.png", "text": text, "label": label}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder
