"""Idefics3 (Laurençon 2024): tiles of a picture, their patches merged, among the pieces of a Llama decoder.

A record has one picture; several pictures are not read. Without a picture its marks go too; the space that the chat
template puts before a text without a picture is left out, so that a text is the same with and without.
"""

from __future__ import annotations

from typing import Any

from fusion_core.asked import Asked
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.prompt import Template
from fusion_core.foreign.tiled import AROUND, END, build_tiled

TEMPLATE = Template(
    "image", before="<|begin_of_text|>User:", closing=AROUND, after=f"{END}\nAssistant:", answer=" ", framed=False
)


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put an Idefics3 together."""
    return build_tiled(model, folder, asked, TEMPLATE)


CLASSES = {"labels": "Idefics3ForConditionalGeneration", "match": "Idefics3ForConditionalGeneration"}

family("idefics3")(Family(CLASSES, "decoder", build))
