"""What this installation and a model can do, and why not where they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import torch

from fusion_core.attention import capture
from fusion_core.encoders import DEFAULT_SOURCES, EncoderRoots, load_encoder
from fusion_core.errors import FusionError
from fusion_core.lines import Line
from fusion_core.model import FusedModel

PACKAGES = ("torch", "transformers", "captum", "streamlit", "soundfile", "pyarrow")


def capabilities(model: FusedModel | None) -> Iterator[Line]:
    """Yield `{"kind": "capability", "name", "supported", "reason"}`, for the installation or for one model."""
    yield from (_model_lines(model) if model is not None else _installation_lines())


def _line(name: str, supported: bool, reason: str) -> Line:
    return {"kind": "capability", "name": name, "supported": supported, "reason": reason}


def _installation_lines() -> Iterator[Line]:
    for package in PACKAGES:
        try:
            yield _line(f"package: {package}", True, f"version {version(package)}")
        except PackageNotFoundError:
            yield _line(f"package: {package}", False, "not installed; run pip install -r requirements.txt")
    for modality, source in DEFAULT_SOURCES.items():
        try:
            load_encoder(modality, source, EncoderRoots())
            yield _line(f"encoder: {modality}", True, f"{source.name}, SHA-256 as expected")
        except FusionError as error:
            yield _line(f"encoder: {modality}", False, str(error))


def _model_lines(model: FusedModel) -> Iterator[Line]:
    for modality in ("text", "image", "audio"):
        if modality not in model.modalities:
            yield _line(f"modality: {modality}", False, "the model was built without it")
            continue
        try:
            source = model.stack.load(modality).source
            yield _line(f"modality: {modality}", True, f"encoder {source.name}, SHA-256 as expected")
        except FusionError as error:
            yield _line(f"modality: {modality}", False, str(error))
    for name, fitted in model.fitted.items():
        low, high = fitted.interval
        words = (
            f"validation accuracy {fitted.validation_accuracy:.3f} ({low:.3f}-{high:.3f}, chance {fitted.chance:.3f})"
        )
        yield _line(f"strategy: {name}", fitted.status != "chance", words)
        yield _attention_line(model, name)
    yield from (_absence_line(model, name) for name in model.strategies)
    yield _line("ledger: marginal", True, f"{model.background.size} donors")


def _absence_line(model: FusedModel, name: str) -> Line:
    """Try it: with each modality absent in turn, its values become NaN and the logits must not change by a bit."""
    one = {m: t.rows(torch.tensor([0])) for m, t in model.background.tokens.items()}
    inert = True
    for m, tokens in one.items():
        nothing = torch.zeros_like(tokens.mask)
        with torch.no_grad():
            plain = model.fuse({**one, m: tokens.each(lambda features: features, nothing)}, name)
            garbled = model.fuse({**one, m: tokens.each(lambda f: torch.full_like(f, torch.nan), nothing)}, name)
        inert = inert and torch.equal(plain, garbled) and bool(torch.isfinite(plain).all())
    reason = "values of an absent modality change nothing (tried)" if inert else "values of an absent modality leak"
    return _line(f"absent: {name}", inert, reason)


def _attention_line(model: FusedModel, name: str) -> Line:
    one = {m: t.rows(torch.tensor([0])) for m, t in model.background.tokens.items()}
    with torch.no_grad(), capture() as tape:
        model.fuse(one, name)
    found = sum(captured.kind == "attention" for captured in tape.captured)
    reason = f"{found} sites" if found else "this strategy fuses without attention; its ledger and attributions remain"
    return _line(f"attention: {name}", found > 0, reason)
