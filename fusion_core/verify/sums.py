"""Do the numbers add up? Completeness of an attribution and efficiency of a ledger."""

from __future__ import annotations

from fusion_core.types import Attribution, Check, Ledger

GOOD, WARN = 0.01, 0.05


def completeness(attribution: Attribution) -> Check | None:
    """Judge an attribution's completeness error: good to 1 %, usable to 5 %; None where no sum is promised."""
    if attribution.error is None:
        return None
    share = attribution.error
    word = "adds up" if share <= GOOD else "nearly adds up" if share <= WARN else "is not complete"
    name = attribution.method.replace("_", " ")
    sentence = f"{name} at the {attribution.seam} seam {word} (off by {share:.1%} of the difference explained)"
    return Check(f"completeness_{attribution.seam}", share, share <= WARN, sentence)


def efficiency(ledger: Ledger) -> Check:
    """Judge whether contributions sum to full minus base within 1e-4 of the larger of 1 and that difference."""
    allowed = 1e-4 * max(1.0, abs(ledger.full - ledger.base))
    passed = ledger.residual <= allowed
    sentence = "contributions add up to full minus base" if passed else f"contributions miss by {ledger.residual:.2g}"
    return Check("efficiency", ledger.residual, passed, sentence)
