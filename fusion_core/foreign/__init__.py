"""Models of Transformers families as fused models: one file each, named classes only. One import line adds a family."""

from __future__ import annotations

from fusion_core.foreign import altclip as altclip
from fusion_core.foreign import blip as blip
from fusion_core.foreign import bridgetower as bridgetower
from fusion_core.foreign import clap as clap
from fusion_core.foreign import clip as clip
from fusion_core.foreign import flava as flava
from fusion_core.foreign import idefics3 as idefics3
from fusion_core.foreign import llava as llava
from fusion_core.foreign import paligemma as paligemma
from fusion_core.foreign import qwen2_5_vl as qwen2_5_vl
from fusion_core.foreign import qwen2_audio as qwen2_audio
from fusion_core.foreign import qwen2_vl as qwen2_vl
from fusion_core.foreign import siglip as siglip
from fusion_core.foreign import siglip2 as siglip2
from fusion_core.foreign import smolvlm as smolvlm
from fusion_core.foreign import vilt as vilt
from fusion_core.foreign.encoders_of import ModelStack, encoders_of, question_of, stack_of, states_spec
from fusion_core.foreign.family import Family, Parts, family, takes_prompt
from fusion_core.foreign.folder import is_foreign
from fusion_core.foreign.load import load_foreign

__all__ = [
    "Family",
    "ModelStack",
    "Parts",
    "encoders_of",
    "family",
    "is_foreign",
    "load_foreign",
    "question_of",
    "stack_of",
    "states_spec",
    "takes_prompt",
]
