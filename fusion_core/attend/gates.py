"""What gates let through, in words. A gate is not a contribution: an open one may pass next to nothing."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_core.types import AttentionMap, Check


def gate_checks(maps: Sequence[AttentionMap]) -> tuple[Check, ...]:
    """Return one statement per gated modality, `gate_<modality>`: value is `norm(g * h)`; nothing to pass or fail."""
    return tuple(
        Check(
            f"gate_{m.key}",
            m.norm,
            None,
            f"{m.key}: the gate is {100 * float(m.weights.mean()):.0f} % open on average and lets a vector of norm "
            f"{m.norm:.2f} through; neither is a contribution",
        )
        for m in maps
        if m.kind == "gate" and m.norm is not None
    )
