"""Fusion strategies: one file and one line each. Their order here is the order on screen."""

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, TokenSpec, strategy

from . import late  # isort: skip
from . import concat  # isort: skip
from . import early_raw  # isort: skip
from . import early  # isort: skip
from . import cross_attention  # isort: skip

__all__ = [
    "Head",
    "HeadOutput",
    "HeadSettings",
    "TokenSpec",
    "concat",
    "cross_attention",
    "early",
    "early_raw",
    "late",
    "strategy",
]
