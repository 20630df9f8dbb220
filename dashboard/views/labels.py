"""The one table from names in data to words on screen, and sentences said in more than one place."""

from __future__ import annotations

from collections.abc import Mapping

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

LEVELS = {
    "late": "fuses decisions",
    "product_of_experts": "fuses decisions",
    "concat": "fuses pooled vectors",
    "gated": "fuses pooled vectors",
    "low_rank": "fuses pooled vectors",
    "film": "fuses pooled text into encoder tokens",
    "early_raw": "fuses low-level features: word embeddings, the CNN's 14x14 stage, mel frames",
    "early": "fuses encoder tokens",
    "bottleneck": "fuses encoder tokens through a few shared ones",
    "cross_attention": "fuses encoder tokens",
}

NO_MODEL = "There is no model to show. Run `python -m sample_data.make`, or start with `--model BUNDLE`."

NOT_YOURS = (
    "This link leads to an upload that was made in another browser, or is no longer kept here: uploads are seen only "
    "in the browser that made them, the last few of each, until the server restarts. Upload the files again, or ask "
    "the link's sender for them."
)

METHODS = """
**Contributions** are exact Shapley values over the modalities present, against donors drawn from training records.
Interactions are already inside them. **Attention** shows where the model looks, not why it answers; the check beside
a map says whether changing it changes the answer. **Attributions** are signed scores for one class: at the *fusion
seam* they are measured on encoder tokens (fast), at the *input seam* on what was written, seen and heard (slower;
images there by occlusion).
"""


def say(name: str, labels: Mapping[str, str] = LABELS) -> str:
    """Return the words for a name: the table's, or the name with spaces."""
    return labels.get(name, name.replace("_", " "))


def waiting(ahead: int) -> str:
    """Return what is said to somebody whose heavy job waits for others."""
    return f"Waiting: {ahead} heavy {'job' if ahead == 1 else 'jobs'} ahead of yours."


def cut(text: str, most: int) -> str:
    """Return text of at most so many characters; one that goes on ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"
