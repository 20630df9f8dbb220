"""Qwen2.5-VL (Bai 2025): as Qwen2-VL, its vision tower attending within windows in most layers.

The tower reads its cells window by window and gives them back row by row. A record has one picture: several, and
video, are not read.
"""

from __future__ import annotations

from fusion_core.foreign.family import DECODER, Family, family
from fusion_core.foreign.qwen_vision import build

CLASSES = {"labels": "Qwen2_5_VLForConditionalGeneration", "match": "Qwen2_5_VLForConditionalGeneration"}

family("qwen2_5_vl")(Family(CLASSES, DECODER, build))
