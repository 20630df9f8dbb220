"""Do the two ways through a foreign model agree: its own kernel, and the explicit product that gradients need?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from fusion_core.attention import capture
from fusion_core.model import FusedModel
from fusion_core.types import Check, Faithfulness, Tokens

#: As a share of the logits' own spread: more than rounding makes.
ROUNDING = 0.01
#: Views of attention that are made the explicit way.
BY_GRADIENT = ("relevancy",)


def parity(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str) -> Check | None:
    """Return the largest logit difference between both ways, and whether the answer is the same.

    None for a strategy whose kernel is explicit, as those fitted here are: there is one way only.
    """
    if model.head(strategy).kernel != "fused":
        return None
    with torch.no_grad():
        own = model.fuse(tokens, strategy)
        with capture(edit=lambda probe, weights, allowed: weights, keeps=False):
            explicit = model.fuse(tokens, strategy)
    off = float((explicit - own).abs().max())
    same = bool((explicit.argmax(dim=1) == own.argmax(dim=1)).all())
    spread = float(own.max() - own.min())
    passed = same and off <= ROUNDING * max(spread, 1e-6)
    answer = "the same answer" if same else "another answer"
    sentence = f"attention written out, as gradients need it, gives {answer}; logits differ by {off:.1e} at most"
    return Check("parity", off, passed, sentence)


def doubted(found: Sequence[Faithfulness], view: str, checks: Sequence[Check]) -> tuple[Faithfulness, ...]:
    """Take the badge of trust off a view made on another way than the answer's, and say why.

    found: what was measured of the view; it comes back as it is unless the view is made by gradients and parity failed.
    """
    failed = next((c for c in checks if c.name == "parity" and c.passed is False), None)
    if failed is None or view not in BY_GRADIENT:
        return tuple(found)
    return tuple(_lowered(one, failed.sentence) if one.badge == "trusted" else one for one in found)


def _lowered(one: Faithfulness, why: str) -> Faithfulness:
    return replace(one, badge="weak", sentence=f"{one.sentence} Not called trusted: {why}.")
