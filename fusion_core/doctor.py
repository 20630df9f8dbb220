"""What this installation and a model can do, and why not where they cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import torch

from fusion_core.attention import capture
from fusion_core.encoders import DEFAULT_SOURCES, EncoderRoots, load_encoder
from fusion_core.errors import CallError, FusionError, RecordError
from fusion_core.foreign import family
from fusion_core.foreign.donors import pass_seconds
from fusion_core.foreign.head import ForeignHead
from fusion_core.foreign.place import Place, devices
from fusion_core.lines import Line
from fusion_core.model import FusedModel
from fusion_core.own import object_lines
from fusion_core.probe import PROBE
from fusion_core.types import Tokens
from fusion_core.verify.parity import parity
from fusion_core.words import AS_LOADED, LEVELS, accuracy_words, say, size

#: What is said of every device but the CPU.
UNTRIED = "Fusion Lens was tested on the CPU only"

PACKAGES = ("torch", "transformers", "captum", "streamlit", "soundfile", "pyarrow")


def capabilities(model: FusedModel | None) -> Iterator[Line]:
    """Yield `{"kind": "capability", "name", "supported", "reason"}`, for the installation or for one model."""
    yield from (_model_lines(model) if model is not None else _installation_lines())


def object_capabilities(named: str) -> Iterator[Line]:
    """Yield one capability line per point of the protocol that a team's own model was tried on."""
    for point in object_lines(named):
        yield _line(point.name, point.holds, point.words)


def _line(name: str, supported: bool, reason: str) -> Line:
    return {"kind": "capability", "name": name, "supported": supported, "reason": reason}


def _installation_lines() -> Iterator[Line]:
    for package in PACKAGES:
        try:
            yield _line(f"package: {package}", True, f"version {version(package)}")
        except PackageNotFoundError:
            yield _line(f"package: {package}", False, "not installed; run pip install -r requirements.txt")
    yield from _device_lines()
    for modality, source in DEFAULT_SOURCES.items():
        try:
            load_encoder(modality, source, EncoderRoots())
            yield _line(f"encoder: {modality}", True, f"{source.name}, SHA-256 as expected")
        except FusionError as error:
            yield _line(f"encoder: {modality}", False, str(error))


def _model_lines(model: FusedModel) -> Iterator[Line]:
    loaded = all(fitted.status == AS_LOADED for fitted in model.fitted.values())
    one = _one_record(model)
    for modality in ("text", "image", "audio"):
        if modality not in model.modalities:
            yield _line(f"modality: {modality}", False, "the model was built without it")
            continue
        try:
            source = model.stack.load(modality).source
            known = f"{source.sha256[:12]}…, as loaded" if loaded else "as expected"
            yield _line(f"modality: {modality}", True, f"encoder {source.name}, SHA-256 {known}")
        except FusionError as error:
            yield _line(f"modality: {modality}", False, str(error))
    for name, fitted in model.fitted.items():
        words = accuracy_words(fitted.validation_accuracy, fitted.interval, fitted.chance)
        original = ", the original as loaded" if name == model.original else ""
        yield _line(f"strategy: {name}", fitted.status != "chance", words + original)
        yield _attention_line(model, name, one)
        if fitted.status == AS_LOADED:
            yield _cost_line(model, name, one)
            yield from _loaded_lines(model, name, one)
    yield from (_absence_line(model, name, one) for name in model.strategies)
    yield _donor_line(model)


def _one_record(model: FusedModel) -> dict[str, Tokens]:
    """Return the first donor, or a made-up record of every modality where the model has no donors."""
    try:
        return {m: t.rows(torch.tensor([0])) for m, t in model.background.tokens.items()}
    except CallError:
        encoders = model.stack.encoders
        with torch.no_grad():
            return {m: e.encode(e.prepare([PROBE[m]])[0]) for m, e in encoders.items()}


def _donor_line(model: FusedModel) -> Line:
    try:
        return _line("ledger: marginal", True, f"{model.background.size} donors")
    except CallError as error:
        return _line("ledger: marginal", False, str(error))


def _cost_line(model: FusedModel, name: str, one: dict[str, Tokens]) -> Line:
    seconds = pass_seconds(model.head(name), one)
    return _line(f"cost: {name}", True, f"one pass of one record takes {1000 * seconds:.1f} ms here")


def _loaded_lines(model: FusedModel, name: str, one: dict[str, Tokens]) -> Iterator[Line]:
    """Say what a model that was not fitted here cannot do, and whether gradients see the model that answers."""
    head = model.head(name)
    if name in family:
        yield _line(f"fusion: {name}", True, f"{family[name].fusion}: {LEVELS[name]}")
    if isinstance(head, ForeignHead):
        yield _free_answer_line(head, name, one)
        yield _states_line(head, name)
        if head.place.held:
            yield _line(f"device: {name}", True, _place_words(head.place))
        yield from (_line(f"{what}: {name}", False, why) for what, why in head.cannot.items())
    found = parity(model, one, name)
    if found is not None:
        yield _line(f"parity: {name}", bool(found.passed), found.sentence)


def _free_answer_line(head: ForeignHead, name: str, one: dict[str, Tokens]) -> Line:
    with torch.no_grad():
        written = head.free_answer(one)
    words = (
        "it weighs the classes it is asked for, and writes nothing" if written is None else "written beside its answer"
    )
    return _line(f"free answer: {name}", written is not None, words)


def _states_line(head: ForeignHead, name: str) -> Line:
    """Say whether a bundle can be fitted on the model's encoders."""
    try:
        widths = ", ".join(f"{m} {head.states_width(m)} wide" for m in head.modalities)
        return _line(f"encoders of a bundle: {name}", True, f"each modality read alone: {widths} (fit --encoders-of)")
    except CallError as error:
        return _line(f"encoders of a bundle: {name}", False, str(error))


def _device_lines() -> Iterator[Line]:
    """Say which devices a foreign model may run on here."""
    for name, there in devices().items():
        seen = "torch sees it" if there else "torch sees none on this machine"
        yield _line(f"device: {name}", there, seen if name == "cpu" else f"{seen}; {UNTRIED}")


def _place_words(place: Place) -> str:
    """Say where the model is, and what was not measured or tried of that."""
    free = place.free()
    left = "torch cannot tell this device's free memory" if free is None else f"{size(free)} of memory free"
    said = [f"{place.words} of weights", left]
    if place.precision != "float32":
        said.append("how far its answers are from those in float32 was not measured")
    return "; ".join(said if place.device.type == "cpu" else [*said, UNTRIED])


def _absence_line(model: FusedModel, name: str, one: dict[str, Tokens]) -> Line:
    """Try it: with each modality absent in turn, its values become NaN and the logits must not change by a bit."""
    inert = True
    for m, tokens in one.items():
        nothing = torch.zeros_like(tokens.mask)
        with torch.no_grad():
            plain = model.fuse({**one, m: tokens.each(lambda features: features, nothing)}, name)
            garbled = model.fuse({**one, m: tokens.each(lambda f: torch.full_like(f, torch.nan), nothing)}, name)
        inert = inert and torch.equal(plain, garbled) and bool(torch.isfinite(plain).all())
    reason = "values of an absent modality change nothing (tried)" if inert else "values of an absent modality leak"
    return _line(f"absent: {name}", inert, reason)


def _attention_line(model: FusedModel, name: str, one: dict[str, Tokens]) -> Line:
    try:
        with torch.no_grad(), capture() as tape:
            model.fuse(one, name)
    except RecordError as error:
        return _line(f"attention: {name}", False, str(error))
    heard = Counter(captured.site for captured in tape.captured if captured.kind == "attention")
    layers = ", ".join(f"{say(site)} {count}" for site, count in heard.items())
    reason = "this strategy fuses without attention; its ledger and attributions remain"
    return _line(f"attention: {name}", bool(heard), f"heard in layers of: {layers}" if heard else reason)
