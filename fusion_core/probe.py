"""A record nobody sent, to try a model on: four words, a ramp of grey, a second of a 440 Hz tone."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_core.reading.clips import Clip
from fusion_core.reading.pictures import Picture

_RAMP = np.repeat(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))[..., None], 3, axis=2)

PROBE: dict[str, Any] = {
    "text": "a photo of something",
    "image": Picture(_RAMP, ()),
    "audio": Clip(np.sin(np.arange(16_000, dtype=np.float32) * (2 * np.pi * 440 / 16_000)), 16_000, ()),
}
