"""Fusion strategies: one file and one line each. Their order here is the order on screen."""

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, TokenSpec, strategy

from . import late  # isort: skip
from . import product_of_experts  # isort: skip
from . import concat  # isort: skip
from . import gated  # isort: skip
from . import low_rank  # isort: skip
from . import film  # isort: skip
from . import early_raw  # isort: skip
from . import early  # isort: skip
from . import bottleneck  # isort: skip
from . import cross_attention  # isort: skip

__all__ = [
    "Head",
    "HeadOutput",
    "HeadSettings",
    "TokenSpec",
    "bottleneck",
    "concat",
    "cross_attention",
    "early",
    "early_raw",
    "film",
    "gated",
    "late",
    "low_rank",
    "product_of_experts",
    "strategy",
]
