"""Tiny random models of every family, made with the real classes; one file each, one line here."""

from __future__ import annotations

from tests.fusion_core.foreign.tiny.altclip import altclip
from tests.fusion_core.foreign.tiny.blip import blip
from tests.fusion_core.foreign.tiny.bridgetower import bridgetower
from tests.fusion_core.foreign.tiny.clap import clap
from tests.fusion_core.foreign.tiny.clip import clip
from tests.fusion_core.foreign.tiny.flava import flava
from tests.fusion_core.foreign.tiny.llava import llava
from tests.fusion_core.foreign.tiny.paligemma import paligemma
from tests.fusion_core.foreign.tiny.qwen2_audio import qwen2_audio
from tests.fusion_core.foreign.tiny.qwen_vl import qwen2_5_vl, qwen2_vl
from tests.fusion_core.foreign.tiny.siglip import siglip
from tests.fusion_core.foreign.tiny.siglip2 import siglip2
from tests.fusion_core.foreign.tiny.tiled import idefics3, smolvlm
from tests.fusion_core.foreign.tiny.vilt import vilt

#: Families whose tasks have classes of their own.
BY_TASK = {"vilt": vilt, "blip": blip}
FAMILIES = {
    "altclip": altclip,
    "blip": blip,
    "bridgetower": bridgetower,
    "clap": clap,
    "clip": clip,
    "flava": flava,
    "idefics3": idefics3,
    "llava": llava,
    "paligemma": paligemma,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen2_audio": qwen2_audio,
    "qwen2_vl": qwen2_vl,
    "siglip": siglip,
    "siglip2": siglip2,
    "smolvlm": smolvlm,
    "vilt": vilt,
}
#: Sample sets that are not scene_qa.
SETS = {"clap": "feedback", "qwen2_audio": "feedback"}
