"""SmolVLM (Marafioti 2025): tiles of a picture, their patches merged, among the pieces of a small Llama-like decoder.

SmolVLM2 has this name; the first SmolVLMs are published under that of Idefics3, and are read there. A record has one
picture; several pictures and video are not read. Without a picture its marks go too; the space that the chat template
puts before a text without a picture is left out, so that a text is the same with and without.
"""

from __future__ import annotations

from fusion_core.foreign.family import DECODER, Family, family
from fusion_core.foreign.tiled import build_tiled

CLASSES = {"labels": "SmolVLMForConditionalGeneration", "match": "SmolVLMForConditionalGeneration"}

#: Its class would make any model that is named there.
PARTS = {"text_config": ("llama",)}

family("smolvlm")(Family(CLASSES, DECODER, build_tiled, parts=PARTS))
