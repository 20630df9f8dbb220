"""Accuracy of a bundle on a record set, as a Markdown table: `python -m tests.bench.accuracy --model B --records DIR`.

Per strategy: accuracy with its 95 % Wilson interval, accuracy per value of a slice column, accuracy of each modality
alone, and the loss from leaving one out with its paired 95 % interval (removal policy: missing).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fusion_core.bundle import load
from fusion_core.fit import logits, targets
from fusion_core.intervals import paired_difference, wilson
from fusion_core.model import FusedModel
from fusion_core.reading.records import read
from fusion_core.tokens import TokenSet, encode_records


def correct(model: FusedModel, strategy: str, tokens: TokenSet) -> np.ndarray:
    """Return which records a strategy answers rightly, 0 or 1, `[N]`."""
    answers = logits(model.head(strategy), tokens).argmax(1)
    return (answers == targets(tokens, model.classes)).float().numpy()


def table(model: FusedModel, tokens: TokenSet, slices: dict[str, str]) -> list[str]:
    """Return the table's lines; `slices` gives each record id its slice."""
    values = sorted(set(slices.values()))
    heads = ["strategy", "accuracy", *values, *(f"{m} alone" for m in model.modalities)]
    heads += [f"loss without {m}" for m in model.modalities]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for strategy in model.strategies:
        right = correct(model, strategy, tokens)
        low, high = wilson(int(right.sum()), len(right))
        cells = [strategy, f"{right.mean():.3f} ({low:.3f}-{high:.3f})"]
        for value in values:
            cells.append(f"{right[[slices[i] == value for i in tokens.ids]].mean():.3f}")
        cells += [f"{correct(model, strategy, tokens.only(m)).mean():.3f}" for m in model.modalities]
        for m in model.modalities:
            loss, (low, high) = paired_difference(right, correct(model, strategy, tokens.without(m)))
            cells.append(f"{loss:.3f} ({low:.3f} to {high:.3f})")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--slice", default="", help="metadata column")
    given = parser.parse_args()
    model, records = load(given.model), read(given.records).records
    tokens, refused = encode_records(model.stack, records)
    slices = {r.id: str(r.meta.get(given.slice, "")) for r in records} if given.slice else {}
    print(f"{model.name}: {len(tokens)} records, {len(refused)} refused")
    print("\n".join(table(model, tokens, slices)))


if __name__ == "__main__":
    main()
