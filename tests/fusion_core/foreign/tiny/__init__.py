"""Tiny random models of every family, made with the real classes; one file each, one line here."""

from __future__ import annotations

from tests.fusion_core.foreign.tiny.blip import blip
from tests.fusion_core.foreign.tiny.bridgetower import bridgetower
from tests.fusion_core.foreign.tiny.clap import clap
from tests.fusion_core.foreign.tiny.clip import clip
from tests.fusion_core.foreign.tiny.flava import flava
from tests.fusion_core.foreign.tiny.siglip import siglip
from tests.fusion_core.foreign.tiny.vilt import vilt

#: Families whose tasks have classes of their own.
BY_TASK = {"vilt": vilt, "blip": blip}
FAMILIES = {
    "vilt": vilt,
    "blip": blip,
    "flava": flava,
    "bridgetower": bridgetower,
    "clip": clip,
    "siglip": siglip,
    "clap": clap,
}
#: Sample sets that are not scene_qa.
SETS = {"clap": "feedback"}
