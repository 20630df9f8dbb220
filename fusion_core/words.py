"""Words and number formats that are the same wherever a result is shown: names on screen, sums that add up, signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusion_core.types import Ledger

LABELS = {
    "late": "late",
    "product_of_experts": "product of experts",
    "concat": "concat",
    "gated": "gated",
    "low_rank": "low-rank",
    "film": "FiLM",
    "early_raw": "early, raw",
    "early": "early",
    "bottleneck": "bottleneck",
    "cross_attention": "cross-attention",
    "clip": "CLIP",
    "altclip": "AltCLIP",
    "siglip": "SigLIP",
    "siglip2": "SigLIP2",
    "clap": "CLAP",
    "vilt": "ViLT",
    "blip": "BLIP",
    "llava": "LLaVA",
    "qwen2_vl": "Qwen2-VL",
    "qwen2_5_vl": "Qwen2.5-VL",
    "flava": "FLAVA",
    "bridgetower": "BridgeTower",
    "qwen2_audio": "Qwen2-Audio",
    "smolvlm": "SmolVLM",
    "idefics3": "Idefics3",
    "paligemma": "PaliGemma",
    "polarity_map": "polarity",
    "integrated_gradients": "integrated gradients",
    "gradient_shap": "gradient SHAP",
    "input_x_gradient": "input × gradient",
    "smooth_grad": "smoothed gradients",
    "kernel_shap": "kernel SHAP",
    "shapley_sampling": "Shapley sampling",
    "grad_cam": "Grad-CAM",
    "occlusion": "occlusion",
    "text_typos": "swapped letters",
    "text_cut": "words left out from the end",
    "image_blur": "blur",
    "image_noise": "image noise",
    "image_crop": "crop",
    "audio_noise": "audio noise",
    "audio_cut": "audio cut from the end",
    "fusion": "fusion seam",
    "input": "input seam",
    "cross": "pairs",
    "stream": "stream",
    "self": "self",
    "cls": "summary token",
    "answer_start": "place of the answer",
    "answer": "answers weighed",
    "prompt_start": "prompt before",
    "prompt_open": "media opening",
    "prompt_close": "media closing",
    "prompt_between": "prompt between",
    "prompt_after": "prompt behind",
    "image_summary": "image summary token",
    "text_start": "start piece",
    "text_end": "end piece",
    "text_label": "label pieces",
    "marginal": "marginal donors",
    "completeness_fusion": "completeness",
    "completeness_input": "completeness",
}

NO_ATTENTION = {
    "late": "Late fusion averages each modality's own decision: there is no attention between modalities to draw. "
    "Its ledger is additive, and attributions remain.",
    "product_of_experts": "A product of experts multiplies each modality's own distribution over the classes: there is "
    "no attention between modalities to draw. Its ledger and attributions remain.",
    "concat": "Concat fuses one pooled vector per modality: there is no attention between tokens to draw. "
    "Its ledger and attributions remain.",
    "gated": "Gated fusion opens a gate per feature of each modality's pooled vector: there is no attention between "
    "tokens to draw, and a gate is not a contribution. Its ledger and attributions remain.",
    "low_rank": "Low-rank fusion multiplies one pooled vector per modality: there is no attention between tokens to "
    "draw. Its ledger and attributions remain.",
    "film": "FiLM scales and shifts every feature of image and audio by one pooled text vector, and pools without "
    "weights: there is no attention between tokens to draw. Its ledger and attributions remain.",
}

#: Said of a strategy of which no attention between tokens was heard.
UNHEARD = "This strategy fuses without attention between tokens. Its ledger and attributions remain."

LEVELS = {
    "clip": "two towers, fused by their similarity",
    "altclip": "two towers, fused by their similarity",
    "siglip": "two towers, fused by their similarity",
    "siglip2": "two towers, fused by their similarity",
    "clap": "two towers, fused by their similarity; attention is heard in the text tower only",
    "vilt": "a single stream over word pieces and patches",
    "blip": "text that cross-attends to the picture",
    "llava": "picture tokens among the words of a language model",
    "qwen2_vl": "picture tokens, by row and column, among the words of a language model",
    "qwen2_5_vl": "picture tokens, by row and column, among the words of a language model",
    "flava": "a single stream over what two towers made of pieces and patches",
    "bridgetower": "two towers, bridged into layers that cross-attend to each other",
    "qwen2_audio": "audio tokens among the words of a language model",
    "smolvlm": "tiles of the picture among the words of a language model",
    "idefics3": "tiles of the picture among the words of a language model",
    "paligemma": "picture tokens before the words of a language model, all reading each other",
    "late": "fuses decisions",
    "product_of_experts": "fuses decisions",
    "concat": "fuses pooled vectors",
    "gated": "fuses pooled vectors",
    "low_rank": "fuses pooled vectors",
    "film": "fuses pooled text into encoder tokens",
    "early_raw": "fuses low-level features, such as word embeddings, patches or mel frames",
    "early": "fuses encoder tokens",
    "bottleneck": "fuses encoder tokens through a few shared ones",
    "cross_attention": "fuses encoder tokens",
}

#: What a faithfulness badge says.
BADGES = {"trusted": "trusted", "weak": "weak", "random": "no better than random"}
#: Said of a strategy whose validation accuracy does not lie above chance.
AT_CHANCE = "This head is at chance level: read nothing into these numbers."
CHANCE_MAPS = "This head does no better than chance on validation data, so its maps are not offered as explanations."
ALONE_AND_WITHOUT = "Class and probability from one modality alone, and from the others without it; means over donors."


#: Status of a strategy that was not fitted here, and what is said of its accuracy.
AS_LOADED = "as loaded"
ACCURACY_UNKNOWN = "not known: used as loaded"


#: What a foreign model is called beside strategies fitted on its encoders.
ORIGINAL = "original"


def original_of(statuses: Mapping[str, str]) -> str | None:
    """Return the strategy that came with the encoders, by the statuses of all; None where all or none was fitted."""
    loaded = [name for name, status in statuses.items() if status == AS_LOADED]
    return loaded[0] if 0 < len(loaded) < len(statuses) else None


def accuracy_words(accuracy: float | None, interval: tuple[float, float] | None, chance: float | None) -> str:
    """Return a validation accuracy with its interval and chance, three digits; or that it is not known."""
    if accuracy is None:
        return f"validation accuracy {ACCURACY_UNKNOWN}"
    band = "" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}, "
    return f"validation accuracy {accuracy:.3f} ({band}chance {'not known' if chance is None else f'{chance:.3f}'})"


def say(name: str, labels: Mapping[str, str] = LABELS) -> str:
    """Return the words for a name: the table's, or the name with spaces."""
    return labels.get(name, name.replace("_", " "))


def begin(text: str) -> str:
    """Return text as a sentence begins with it: the first letter large, the others as a name has them."""
    return text[:1].upper() + text[1:]


def cut(text: str, most: int) -> str:
    """Return text of at most so many characters; one that goes on ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def signed(value: float, digits: int) -> str:
    """Print a number with its sign; what rounds to nothing has none."""
    rounded = round(value, digits)
    return ("+" if rounded > 0 else "") + plain(rounded, digits)


def plain(value: float, digits: int) -> str:
    """Print a number with a true minus sign."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:.{digits}f}".replace("-", "−")


def decimals(value: float) -> int:
    """Return enough decimals for small numbers: 0.46, 0.021, 0.0030."""
    return 2 if value == 0 or abs(value) >= 0.095 else 3 if abs(value) >= 0.0095 else 4


def size(held: int) -> str:
    """Write a number of bytes, such as 0.6 GB, 3.2 MB or 40 kB."""
    if held >= 1e8:
        return f"{held / 1e9:.1f} GB"
    return f"{held / 1e6:.1f} MB" if held >= 1e5 else f"{held / 1e3:.0f} kB"


def count(number: int) -> str:
    """Return a large count in short: 367 k, 1.2 M."""
    if number >= 1_000_000:
        return f"{number / 1e6:.1f} M"
    return f"{number / 1e3:.0f} k" if number >= 1_000 else str(number)


def present_in(account: Ledger) -> list[str]:
    """Return the modalities a ledger shares out to, in its order: those the record has."""
    return [m for m, error in account.standard_errors.items() if m in account.alone or error is not None]


def printed_sum(parts: Sequence[float], full: float, base: float) -> tuple[int, float, float, float]:
    """Return the fewest decimals (2 to 4) whose roundings add up, and the total, full and base to print.

    Parts, total and full are rounded to the nearest; base closes the sum, so it may be rounded the other way. Where
    4 decimals do not close either, the total takes up the last digit: it is below the ledger's tolerance.
    """
    for digits in (2, 3, 4):
        unit = 10.0**-digits
        total = round(sum(round(x, digits) for x in parts), digits)
        rest = round(round(full, digits) - total, digits)
        if total == round(sum(parts), digits) and abs(rest - base) < unit:
            break
    return digits, total, round(full, digits), rest


def ledger_caption(account: Ledger, players: int) -> str:
    """Return how a ledger over so many present modalities came to be; donors, coalitions and what ± means."""
    removal = f"{account.donors} {account.policy} donors" if account.donors else f"removal policy: {account.policy}"
    spread = ", ± 2 standard errors over donors" if account.donors else ""
    coalitions = f"{2**players} coalition{'s' if players else ''}"
    return f"Exact Shapley over {coalitions}, {removal}{spread}; interactions are already inside the contributions."


NOT_EXPLAINED = "not explained"


def cause_words(cause: str) -> str:
    """Return a cause, "<modality> <fault>", as it is said: "image · out of domain"."""
    if cause in ("none none", "unexplained"):
        return NOT_EXPLAINED
    modality, _, fault = cause.partition(" ")
    return f"{modality} · {fault.replace('_', ' ')}" if fault and cause != "not diagnosed" else cause
