"""Distance: clean sound of something else."""

from __future__ import annotations

import math

from fusion_core.diagnose.rules.case import NOTHING, Case, Rule, Score, rule


def audio_far(case: Case) -> Score:
    """Judge whether the audio is out of domain by this sign."""
    raw = min(case.above("audio.distance"), case.above("audio.spread")) * math.sqrt(2)
    if raw == 0.0:
        return NOTHING
    return Score(raw, f"Its tokens lie far from clean ones: distance {case.beside('audio.distance')}.")


rule("audio_far")(
    Rule(
        "audio",
        "out_of_domain",
        audio_far,
        "Compare the speakers and the source of these clips with the training clips.",
        (
            "audio_missing",
            "audio_noise",
            "audio_clipping",
            "audio_echo",
            "audio_cut",
        ),
    )
)
