"""The model card that a bundle carries."""

from __future__ import annotations

from fusion_core.model import FusedModel


def model_card(model: FusedModel) -> str:
    """Return a Markdown card: what the model reads, where its encoders come from, and how good each head is."""
    trained_on = next(iter(model.fitted.values())).training_records
    lines = [
        f"# {model.name}",
        "",
        f"A Fusion Lens bundle: frozen encoders and one trained head per fusion strategy, over {len(model.classes)} "
        f"classes ({', '.join(model.classes)}). Default strategy: `{model.default_strategy}`.",
        "",
        "| modality | encoder | weights (SHA-256) | tokens |",
        "|---|---|---|---|",
    ]
    for m, source in model.stack.sources.items():
        spec = model.stack.specs[m]
        grid = f" {spec.grid[0]} x {spec.grid[1]}" if spec.grid else ""
        weights = f"`{source.sha256[:16]}…`"
        lines.append(f"| {m} | {source.source} `{source.name}` | {weights} | {spec.kind}{grid}, {spec.width} wide |")
    lines += [
        "",
        "| strategy | parameters | validation accuracy | 95 % interval | records | chance | status | seed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, f in model.fitted.items():
        low, high = f.interval or (None, None)
        lines.append(
            f"| {name} | {f.parameters:,} | {_share(f.validation_accuracy)} | {_share(low)}-{_share(high)} | "
            f"{f.validation_records} | {_share(f.chance)} | {f.status} | {f.seed} |"
        )
    lines += [
        "",
        f"Intervals are Wilson score intervals. The heads were trained on {trained_on} records. "
        f"`background.safetensors` holds {model.background.size} training records as tokens: the donors that stand in "
        "for a removed modality. Weights and background are float16.",
        "",
    ]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"
