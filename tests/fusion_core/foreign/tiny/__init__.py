"""Tiny random models of every family, made with the real classes; one file each, one line here."""

from __future__ import annotations

from tests.fusion_core.foreign.tiny.blip import blip
from tests.fusion_core.foreign.tiny.clap import clap
from tests.fusion_core.foreign.tiny.clip import clip
from tests.fusion_core.foreign.tiny.llava import llava
from tests.fusion_core.foreign.tiny.paligemma import paligemma
from tests.fusion_core.foreign.tiny.siglip import siglip
from tests.fusion_core.foreign.tiny.tiled import idefics3, smolvlm
from tests.fusion_core.foreign.tiny.vilt import vilt

#: Families whose tasks have classes of their own.
BY_TASK = {"vilt": vilt, "blip": blip}
FAMILIES = {
    "vilt": vilt, "blip": blip, "clip": clip, "siglip": siglip, "clap": clap, "llava": llava, "smolvlm": smolvlm,
    "idefics3": idefics3, "paligemma": paligemma,
}  # fmt: skip
#: Sample sets that are not scene_qa.
SETS = {"clap": "feedback"}
