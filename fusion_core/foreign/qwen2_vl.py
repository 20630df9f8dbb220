"""Qwen2-VL (Wang 2024): merged patches of a picture of any shape among the pieces of a Qwen2 decoder.

A record has one picture: several, and video, are not read.
"""

from __future__ import annotations

from fusion_core.foreign.family import DECODER, Family, family
from fusion_core.foreign.qwen_vision import build

CLASSES = {"labels": "Qwen2VLForConditionalGeneration", "match": "Qwen2VLForConditionalGeneration"}

family("qwen2_vl")(Family(CLASSES, DECODER, build))
