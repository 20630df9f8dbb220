"""Idefics3 (Laurençon 2024): tiles of a picture, their patches merged, among the pieces of a Llama decoder.

The first SmolVLMs have this name too. A record has one picture; several pictures are not read. Without a picture its
marks go too; the space that the chat template puts before a text without a picture is left out, so that a text is the
same with and without.
"""

from __future__ import annotations

from fusion_core.foreign.family import DECODER, Family, family
from fusion_core.foreign.tiled import build_tiled

CLASSES = {"labels": "Idefics3ForConditionalGeneration", "match": "Idefics3ForConditionalGeneration"}

#: Its class would make any model that is named there.
PARTS = {"text_config": ("llama",)}

family("idefics3")(Family(CLASSES, DECODER, build_tiled, parts=PARTS))
