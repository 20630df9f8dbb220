"""Beside what people use now, in one run on the same model and records: `python -m tests.bench.side_by_side`.

Rows: the ledger against Captum's `ShapleyValues` with a mask per modality (equal baselines, so equal values);
fusion-seam integrated gradients against a plain Captum call through encoders and head; EMAP against a double loop;
attention captured on its way against a second pass that asks for it. Ratios of medians of several runs.
"""

from __future__ import annotations

from pathlib import Path

import torch
from captum.attr import IntegratedGradients, ShapleyValues

from fusion_core.attend.raw import attention_maps
from fusion_core.attention import capture
from fusion_core.attribute import at_fusion, at_input, method
from fusion_core.bundle import load
from fusion_core.contribute.emap import additive_exact, emap
from fusion_core.contribute.ledger import measure
from fusion_core.model import FusedModel
from fusion_core.reading.records import read
from fusion_core.tokens import encode_records
from fusion_core.types import Record
from tests.bench.speed import median_seconds

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
STRATEGY = "early"
RECORDS = 24


def ledger_row(model: FusedModel, record: Record) -> str:
    """Compare the ledger of one class with Captum's, both with the mean token in place of a removed modality."""
    _, tokens = model.encode_record(record)
    problem = at_fusion(model, tokens, STRATEGY, 0)
    masks = tuple(torch.full_like(v, number, dtype=torch.long) for number, v in enumerate(problem.values))

    def theirs() -> tuple[torch.Tensor, ...]:
        found: tuple[torch.Tensor, ...] = ShapleyValues(problem.forward).attribute(
            problem.values, problem.baselines, feature_mask=masks
        )
        return found

    ours = measure(model, tokens, STRATEGY, policy="mean").ledger(model.classes[0]).contributions
    with torch.no_grad():
        apart = max(
            abs(ours[m] - float(score.flatten()[0])) for m, score in zip(problem.modalities, theirs(), strict=True)
        )
        slow = median_seconds(theirs)
    fast = median_seconds(lambda: measure(model, tokens, STRATEGY, policy="mean"))
    return (
        f"ledger, all classes | Captum `ShapleyValues`, one class | {slow / fast:.1f} x | values differ by {apart:.1e}"
    )


def attribution_row(model: FusedModel, record: Record) -> str:
    """Compare integrated gradients at the fusion seam with a plain Captum call through the whole model, 32 steps."""
    inputs, tokens = model.encode_record(record)
    near = at_fusion(model, tokens, STRATEGY, 0)
    explained = tuple(m for m in near.modalities if m != "image")
    far = at_input(model, inputs, tokens, STRATEGY, 0, explained)
    fast = median_seconds(lambda: method["integrated_gradients"].run(near))
    slow = median_seconds(
        lambda: IntegratedGradients(far.forward).attribute(far.values, far.baselines, n_steps=32, internal_batch_size=8)
    )
    what = " and ".join(explained)
    return f"integrated gradients, fusion seam | Captum through encoders and head ({what}) | {slow / fast:.1f} x | "


def emap_row(model: FusedModel, records: list[Record]) -> str:
    """Compare exact EMAP of two modalities with a double loop over pairs of records."""
    tokens, _ = encode_records(model.stack, records)
    head, modalities = model.head(STRATEGY), model.modalities
    batch = tokens.batch(torch.arange(len(tokens)))

    def naive() -> torch.Tensor:
        def fuse(rows: dict[str, torch.Tensor]) -> torch.Tensor:
            pairs = zip(*(rows[m].tolist() for m in modalities), strict=True)
            each = [
                head({m: batch[m].rows(torch.tensor([row])) for m, row in zip(modalities, pair, strict=True)}).logits
                for pair in pairs
            ]
            return torch.cat(each)

        with torch.no_grad():
            return additive_exact(fuse, len(tokens), modalities)

    fast = median_seconds(lambda: emap(model, tokens, STRATEGY, mode="exact"))
    slow = median_seconds(naive)
    return f"EMAP, exact, {len(tokens)} records (with 2 x 1,000 resamples) | a double loop | {slow / fast:.1f} x | "


def capture_row(model: FusedModel, record: Record) -> str:
    """Compare capturing attention on its way with an answer first and a second pass for the attention."""
    _, tokens = model.encode_record(record)

    def once() -> None:
        with torch.no_grad(), capture() as tape:
            model.fuse(tokens, STRATEGY)
        attention_maps(tape, model.modalities)

    def twice() -> None:
        with torch.no_grad():
            model.fuse(tokens, STRATEGY)
        once()

    ratio = median_seconds(twice) / median_seconds(once)
    return f"answer and attention in one pass | an answer, then a second eager pass | {ratio:.2f} x | "


def main() -> None:
    """Print the table."""
    print("| ours | instead of | they take | |\n|---|---|---|---|")
    for name in ("feedback", "scene_qa"):
        model = load(SAMPLES / "bundles" / name)
        records = read(SAMPLES / name / "test").records
        rows = [ledger_row(model, records[0]), attribution_row(model, records[0]), capture_row(model, records[0])]
        if len(model.modalities) == 2:
            rows.append(emap_row(model, list(records[:RECORDS])))
        for row in rows:
            print(f"| `{name}`: {row} |", flush=True)


if __name__ == "__main__":
    main()
