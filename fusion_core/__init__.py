"""Fusion Lens: see why a fused multimodal model fails."""

__version__ = "0.1.0"
