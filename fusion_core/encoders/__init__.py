"""Frozen, pretrained encoders, each verified by the SHA-256 of its weights."""

from __future__ import annotations

import transformers

from fusion_core.encoders.audio import WHISPER, AudioEncoder
from fusion_core.encoders.encoder import Encoder
from fusion_core.encoders.image import EFFICIENTNET, ImageEncoder
from fusion_core.encoders.source import EncoderRoots, EncoderSource
from fusion_core.encoders.text import MINILM, TextEncoder

# Transformers reports on standard error how it loads weights; ours are checked by hash and need no report.
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

DEFAULT_SOURCES = {"text": MINILM, "image": EFFICIENTNET, "audio": WHISPER}
ENCODERS: dict[str, type[TextEncoder] | type[ImageEncoder] | type[AudioEncoder]] = {
    "text": TextEncoder,
    "image": ImageEncoder,
    "audio": AudioEncoder,
}


def load_encoder(modality: str, source: EncoderSource, roots: EncoderRoots) -> Encoder:
    """Load one frozen encoder; raises ModelError when its weights are missing, damaged or of a refused kind."""
    return ENCODERS[modality](source, roots)


__all__ = ["DEFAULT_SOURCES", "Encoder", "EncoderRoots", "EncoderSource", "load_encoder"]
