"""The textbook's early fusion: a single stream over low-level features, before an encoder has made sense of them."""

from fusion_core.fusion.head import strategy
from fusion_core.fusion.stream import Stream


@strategy("early_raw")
class EarlyRaw(Stream):
    """A single stream over word embeddings, the image network's middle stage, and mel frames.

    The tokens and their axes are those of the encoders; only what is known of each is lower.
    """

    level = "raw"
