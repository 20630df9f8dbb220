"""A team's own PyTorch model as a fused model: seven names, and nothing to inherit from."""

from __future__ import annotations

from fusion_core.own.load import load_object, object_lines
from fusion_core.own.protocol import OwnModel

__all__ = ["OwnModel", "load_object", "object_lines"]
