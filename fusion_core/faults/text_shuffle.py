"""Words out of order: measured and reported, but no fault a diagnosis is asked to name."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, on_text

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the words


def shuffle(text: str, given: Injection) -> str:
    """Let a share of the words, at least two, change places among themselves."""
    words = text.split()
    chosen = given.random.permutation(len(words))[: max(2, round(given.amount(SHARES) * len(words)))]
    shuffled = list(words)
    for place, taken in zip(sorted(chosen), chosen, strict=True):
        shuffled[place] = words[taken]
    return " ".join(shuffled)


fault("text.shuffle")(Fault("text", "corrupted", on_text(shuffle)))
