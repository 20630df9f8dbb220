"""Fusion Lens: see why a fused multimodal model fails."""
