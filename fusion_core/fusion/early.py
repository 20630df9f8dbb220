"""Early fusion: all encoder tokens in a single stream through a transformer (after ViLT, Kim 2021)."""

from fusion_core.fusion.head import strategy
from fusion_core.fusion.stream import Stream


@strategy("early")
class Early(Stream):
    """A single stream over encoder tokens."""
