"""The model card that a bundle carries."""

from __future__ import annotations

from fusion_core.fit_facts import Figure, FitFacts
from fusion_core.model import FusedModel


def model_card(model: FusedModel) -> str:
    """Return a Markdown card: what the model reads, where its encoders come from, and how good each head is."""
    trained_on = max(fitted.training_records for fitted in model.fitted.values())
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
        *(_about_original(model) if model.original else ()),
        *(_about_data(model.facts) if model.facts else ()),
        f"Intervals are Wilson score intervals. The heads were trained on {trained_on} records. "
        f"`background.safetensors` holds {model.background.size} training records as tokens: the donors that stand in "
        "for a removed modality. Weights and background are float16.",
        "",
    ]
    return "\n".join(lines)


def _about_original(model: FusedModel) -> list[str]:
    """Return what the strategy is that was not fitted here."""
    return [
        f"`{model.original}` is the model that the encoders are parts of, as it was loaded: it learned nothing from "
        "these records, and its accuracy above was measured on the validation records like that of the others. Its "
        "weights are not in this bundle; it is found by its folder's name, and the hash above must fit.",
        "",
    ]


def _about_data(facts: FitFacts) -> list[str]:
    """Return what the bundle was fitted on, and the figures that are kept with it."""
    lines = [
        "| strategy | macro-F1 | 95 % interval | negative log-likelihood, nats | 95 % interval |",
        "|---|---|---|---|---|",
        *(f"| {name} | {_cells(f.macro_f1)} | {_cells(f.nll)} |" for name, f in facts.strategies.items()),
        "",
    ]
    if facts.teacher:
        lines += [
            f"**Distilled.** The heads learned the answers of {_plain(facts.teacher)}, not labels. Accuracy above is "
            "agreement with those answers, and classes below are those answers.",
            "",
        ]
    lines += [
        "## Data",
        "",
        f"Fingerprint (SHA-256 over contents and labels): `{facts.fingerprint}`. Split: {_plain(facts.split)}. "
        f"Seed {facts.seed}.",
        "",
        "| class | training records | validation records |",
        "|---|---|---|",
        *(f"| {_plain(name)} | {learned} | {judged} |" for name, (learned, judged) in facts.classes.items()),
        "",
        "| modality | training records that have it | validation records |",
        "|---|---|---|",
        *(f"| {m} | {100 * learned:.1f} % | {100 * judged:.1f} % |" for m, (learned, judged) in facts.presence.items()),
        "",
        "Intervals of macro-F1 and log-likelihood are bootstrap intervals over the validation records.",
    ]
    return lines


def _cells(figure: Figure) -> str:
    return f"{figure.value:.3f} | {figure.low:.3f}-{figure.high:.3f}"


def _plain(text: str) -> str:
    """Return text that means nothing to Markdown tables or HTML."""
    marks = {"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " ", "\r": " "}
    return "".join(marks.get(c, c) for c in text)


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"
